"""The live demo: a web page on this machine that translates and shows the alignment as one types."""

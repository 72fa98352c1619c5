"""The commands: each is one small file of arguments and printing."""

"""The speed claims of docs/speed.md, one module each; contestants run in their own processes."""

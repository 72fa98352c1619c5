"""The speed claims of docs/speed.md: a module each; contestants run in processes of their own."""

"""The experiments of docs/attention.md: a module each, what they share in `common`."""

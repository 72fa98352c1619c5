"""The experiments of docs/attention.md, one module each; `common` holds what they share."""

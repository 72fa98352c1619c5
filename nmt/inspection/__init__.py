"""Pictures of a `Translation`: figures, the terminal, the explorer page; and learning curves of training runs."""

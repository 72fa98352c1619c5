"""Looking at a translation: figures, the terminal, and the explorer page. All of them draw a `Translation`."""

"""Text as words (what people align) and as subwords (what the model reads), and the map between them."""

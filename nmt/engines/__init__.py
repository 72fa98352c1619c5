"""Engines turn source pieces into hypotheses: PyTorch (every head) and CTranslate2 (fast)."""

"""Reasoning-aware instruction tuning: dialogues of the four tasks, low-rank adapters, projector, head."""

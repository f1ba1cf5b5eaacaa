"""Routers that learn what each delegate's answer is worth."""

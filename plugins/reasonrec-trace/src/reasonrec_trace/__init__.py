"""What a trace tells: single decisions, figures, and the decisions that another budget or router would have made."""

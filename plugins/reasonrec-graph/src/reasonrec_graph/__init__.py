"""Neural delegates over the graph of users and items (LightGCN to SSR), and over kinds of feedback (MRMN)."""

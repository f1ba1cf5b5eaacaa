"""Neural delegates over the graph of users and items (LightGCN, SGL, GCM, AlphaRec) and kinds of feedback (MRMN)."""

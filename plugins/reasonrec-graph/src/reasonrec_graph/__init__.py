"""Neural delegates that pass vectors over the graph of users and items: LightGCN, SGL, GCM, AlphaRec."""

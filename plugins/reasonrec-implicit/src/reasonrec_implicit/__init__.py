"""ALS, BPR and item neighbours of the implicit library as ReasonRec delegates."""

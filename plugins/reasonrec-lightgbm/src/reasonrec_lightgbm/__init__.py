"""Click probability and LambdaRank with LightGBM as ReasonRec delegates."""

"""Models of the Cornac library as ReasonRec delegates."""

"""Split conformal sets over a policy's distribution: how many items it takes to hold the next one nine times in ten."""

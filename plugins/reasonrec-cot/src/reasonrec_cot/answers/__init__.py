"""Ways to answer with items that exist: by a head, by likelihood, by decoding through a tree of titles."""

"""A trained reasoning policy: explicit, supervised, editable steps that cause the ranking."""

"""What describes a click before it happens: statistics of earlier labels, content, history. A library, no components."""

"""What describes a click before it happens: earlier labels, content, history. A library without components."""

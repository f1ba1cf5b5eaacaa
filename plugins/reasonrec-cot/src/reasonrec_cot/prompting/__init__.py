"""All text: templates, grammar, parsing, fencing, dialogues, rationales, knowledge. Pure Python, without torch."""

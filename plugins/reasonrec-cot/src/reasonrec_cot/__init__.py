"""A reasoning policy over (vision-)language models: observe, deliberate in words, answer with items that exist.

`words` is all text, without torch; `backbone` runs the model; `items` puts features into prompts as soft tokens;
`answers` turns a prompt into scores of real items; `policy` composes them.
"""

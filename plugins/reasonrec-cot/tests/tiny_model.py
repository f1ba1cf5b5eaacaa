"""Small real models, made and saved by the tests themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

WORDS = """You recommend items to people. This person had nothing so far. Pick the best of these: red blue green
toy story the return of kings a new hope. What does the person choose next? Answer with a label. Acorn Birch Cedar
Lamp Mug Kite Boot no. system user assistant yes no because it fits 0.25 0.5 0.75 1.0 1 2 3 4 5 6 7 8 9 10"""
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def tiny_tokenizer(vocabulary: int = 400, whole: tuple[str, ...] = ()) -> Any:
    """A byte-level BPE, trained here; ``whole`` words are a token each."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    tags = [f"<{slash}{part}>" for part in ("observe", "deliberate", "answer", "confidence") for slash in ("", "/")]
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator([*WORDS.splitlines(), *tags * 3, *whole * 50], trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token=SPECIAL[1], eos_token=SPECIAL[2], pad_token=SPECIAL[0]
    )
    tokenizer.chat_template = CHATML
    return tokenizer


def tiny_llama(folder: Path, whole: tuple[str, ...] = (), **settings: Any) -> Path:
    """A Llama of two layers with grouped queries and random weights."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = tiny_tokenizer(whole=whole)
    torch.manual_seed(0)
    config = LlamaConfig(
        **{
            "vocab_size": len(tokenizer),
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 2048,
            "initializer_range": 0.15,
            "tie_word_embeddings": True,
            "bos_token_id": 1,
            "eos_token_id": 2,
            **settings,
        }
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder

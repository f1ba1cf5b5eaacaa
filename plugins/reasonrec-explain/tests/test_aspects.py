"""What is read of a review: sentences and words."""

from __future__ import annotations

from reasonrec_explain.aspects import split_sentences


def test_sentences_end_at_stops_and_lines() -> None:
    text = 'Light and strong.I did  not\tregret it! "Really" \n\n Buy\u00a0it'
    assert split_sentences(text) == ["Light and strong.", "I did not regret it!", '"Really"', "Buy it"]


def test_blanks_without_end_are_read_once() -> None:
    for blanks in (" " * 20_000, "\t\u00a0" * 10_000, "\n " * 10_000):
        for _ in range(50):
            assert len(split_sentences(blanks)) == 0

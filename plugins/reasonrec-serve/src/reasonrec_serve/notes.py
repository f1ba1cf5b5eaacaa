"""What is said of an answer: what was skipped, left out, or could not be done."""

from __future__ import annotations

from reasonrec_serve.resolve import Resolved

SKIPPED = {
    "history": "in the history",
    "candidates": "among the candidates",
    "exclude": "among those to exclude",
    "only": "in the list of allowed items",
    "context": "of the context",
}


def list_notes(resolved: Resolved, n_items: int, *, abstained: bool, limited: bool, alone: str = "") -> tuple[str, ...]:
    """Sentences about one answer.

    Args:
        resolved: the request.
        n_items: how many items were found.
        abstained: whether no answer is given.
        limited: whether confidence is not stated because of what the request rules out.
        alone: where there is no policy: which delegate answers, and why.
    """
    notes = [tell_skipped(part, count) for part, count in (("history", resolved.batch.history.skipped),) if count]
    notes += [tell_skipped(part, count) for part, count in resolved.skipped.items()]
    personalised = bool(len(resolved.batch.history.items))
    if resolved.known_user is False and resolved.request.history is None:
        notes.append("The user is new and has no history, so the answer is not personalised.")
    elif not personalised and resolved.request.query is None:
        notes.append("Not personalised: the user has no history.")
    if abstained:
        return (*notes, "No answer is given, because none is confident enough.")
    if alone:
        notes.append(f"{alone[0].upper()}{alone[1:]}.")
    if found := _count_items(resolved, n_items):
        notes.append(found)
    if limited and n_items:
        notes.append("No confidence is stated, because the request changes the list that it was calibrated on.")
    return tuple(notes)


def tell_skipped(part: str, count: int) -> str:
    """How many ids of a part of the request are unknown."""
    what, were = "value" if part == "context" else "item", "was" if count == 1 else "were"
    return f"{count} unknown {what if count == 1 else f'{what}s'} {SKIPPED[part]} {were} skipped."


def _count_items(resolved: Resolved, n_items: int) -> str | None:
    """Why there are fewer items than wanted, None where there are as many."""
    request, limits = resolved.request, resolved.limits
    if n_items >= request.k:
        return None
    if request.candidates is not None:
        return None if n_items else "No candidate is left: none of them is both known and allowed."
    there = {"exclude": request.exclude, "only": request.only is not None, "where": request.where}
    asked = [name for name, given in there.items() if given]
    if not asked:
        return None if n_items else "Nothing is left to recommend: the history contains every item."
    assert limits.allowed is not None
    allowed, said = int(limits.allowed.sum()), " and ".join(f"`{name}`" for name in asked)
    if not allowed:
        return f"No item fits {said}, so there is nothing to recommend."
    verb = "allow" if len(asked) > 1 else "allows"
    seen = "" if request.include_seen else ", including those that they already have"
    return f"{n_items or 'None'} of the {request.k} items wanted: {said} {verb} {allowed}{seen}."

"""Can every picture be opened, and is each its own?"""

from __future__ import annotations

from collections import defaultdict

from reasonrec_core.data.images import ImageRefused, open_image, resolve_inside
from reasonrec_core.io import sha256_of
from reasonrec_doctor.finding import Examined, Finding, Severity

UNREADABLE, SAME = "unreadable-images", "duplicate-images"
OUTSIDE = "outside the image folder"


def check(examined: Examined) -> list[Finding]:
    """Open every picture safely and hash its file."""
    catalog = examined.dataset.catalog
    named = [(item, path) for item, path in enumerate(catalog.image_paths) if path]
    if not named:
        return []
    lost = [(item, path) for item, path in named if catalog.image_root(item) is None]
    if len(lost) == len(named):
        return [_unreadable("the image folder is not known", lost, len(named))]
    refused: dict[str, list[tuple[int, str]]] = defaultdict(list)
    files: dict[str, list[int]] = defaultdict(list)
    for done, (item, path) in enumerate(named, 1):
        root = catalog.image_root(item)
        try:
            if root is None:
                raise ImageRefused("the image folder is not known", where=path)
            open_image(root, path)
            files[sha256_of(resolve_inside(root, path))].append(item)
        except ImageRefused as error:
            refused[error.reason].append((item, path))
        examined.progress(done, len(named), "opening pictures")
    found = [_unreadable(reason, items, len(named)) for reason, items in sorted(refused.items())]
    same = [items for items in files.values() if len(items) > 1]
    if same:
        found.append(
            Finding(
                SAME,
                Severity.WARNING,
                f"items that share a picture with another: {len(same)} groups of identical files",
                sum(map(len, same)),
                len(named),
                " = ".join(examined.item(item) for item in same[0][:3]),
                "If it is a placeholder, leave the cell empty; if it is one thing under two ids, merge them.",
            )
        )
    return found


def _unreadable(reason: str, items: list[tuple[int, str]], total: int) -> Finding:
    outside = reason == OUTSIDE
    return Finding(
        UNREADABLE,
        Severity.ERROR if outside else Severity.WARNING,
        f"pictures that cannot be used: {reason}",
        len(items),
        total,
        f"{items[0][1][:120]}",
        "The paths lead to files outside the data: correct them."
        if outside
        else "Their items count as having no picture: replace the files or leave the cells empty.",
    )

"""The public data sets that can be fetched: where from, under which terms, how they are known to be the right ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from reasonrec_datasets.download.movielens import Tables, from_publisher, from_recbole

Files = Mapping[str, bytes]
"""The members of an archive, by name."""


@dataclass(frozen=True)
class Source:
    """One place to get a data set from.

    Attributes:
        name: for messages.
        members: what to read from the archive, with the SHA-256 of each, or None where the content is only checked
            after it was read (`Known.content`).
        read: makes our tables of the members.
        url: of a zip archive; or
        requirement: a pinned distribution whose wheel, from the package registry that pip is set up for, holds them.
    """

    name: str
    members: Mapping[str, str | None]
    read: Callable[[Files], Tables]
    url: str | None = None
    requirement: str | None = None


@dataclass(frozen=True)
class Known:
    """A data set.

    Attributes:
        name: as in ``reasonrec data fetch NAME``.
        title: its full name.
        terms: what its licence allows and asks for, in words, with where the full text is.
        content: per table the SHA-256 of its rows, equal for every source.
        sources: tried in this order.
    """

    name: str
    title: str
    terms: str
    content: Mapping[str, str]
    sources: tuple[Source, ...]


MOVIELENS_TERMS = """\
MovieLens 100K was collected by the GroupLens Research Project at the University of Minnesota.
It may be used for research, under these conditions:
- do not state or imply that the University of Minnesota or GroupLens endorses your work;
- acknowledge the data set in publications:
  F. Maxwell Harper and Joseph A. Konstan. 2015. The MovieLens Datasets: History and Context.
  ACM Transactions on Interactive Intelligent Systems 5, 4, Article 19. https://doi.org/10.1145/2827872
- do not redistribute the data without separate permission;
- no commercial or revenue-bearing use without permission of GroupLens.
It comes without any warranty. Full text: https://files.grouplens.org/datasets/movielens/ml-100k-README.txt"""

KNOWN: Mapping[str, Known] = {
    "ml-100k": Known(
        "ml-100k",
        "MovieLens 100K",
        MOVIELENS_TERMS,
        {
            "interactions": "301987f3d1a692d41ad1af2d5664cfbb15ebf3ecf436267abc7eef5023e25025",
            "items": "7d3e797513ce30e80bdc58a0816b4b5ae7e27b9661530214fe4ff87ecebbf2bf",
            "users": "8de6265d19a4d595f64080cdb8e6db81dd20f4f5f9cfb0eb14d3ef20c8b27557",
        },
        (
            Source(
                "the publisher (files.grouplens.org)",
                {"ml-100k/u.data": None, "ml-100k/u.item": None, "ml-100k/u.user": None, "ml-100k/u.genre": None},
                from_publisher,
                url="https://files.grouplens.org/datasets/movielens/ml-100k.zip",
            ),
            Source(
                "the package registry (recbole 1.2.1)",
                {
                    "recbole/dataset_example/ml-100k/ml-100k.inter": (
                        "4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff"
                    ),
                    "recbole/dataset_example/ml-100k/ml-100k.item": (
                        "51d7cdf777ce5c0f5b32c1d947a4a81fe07d75e78abbe761e0cd4d0756064532"
                    ),
                    "recbole/dataset_example/ml-100k/ml-100k.user": (
                        "4f670007d9cfbeb9807e757209af1555b9bcc186bde25e767f67cb67c6dd5972"
                    ),
                },
                from_recbole,
                requirement="recbole==1.2.1",
            ),
        ),
    ),
}

"""What the files of a folder show, told by their names."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import permutations
from typing import TYPE_CHECKING, Literal

from napari_im2im.images.folders.pairing import Matches, match_files, stem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

Role = Literal["input", "target", "labels", "cost_map"]
TargetKind = Literal["image", "labels", "none"]

_WORDS: Mapping[Role, frozenset[str]] = {
    "cost_map": frozenset("cm cost costmap costmaps weight weights".split()),
    "labels": frozenset(
        "label labels mask masks seg segmentation annotation annotations".split()
    ),
    "input": frozenset(
        "im img imgs image images input inputs raw source x phase brightfield bright "
        "bf dic pc transmitted trans noisy low lowres widefield wf".split()
    ),
    "target": frozenset(
        "gt groundtruth truth target targets y output clean high highres confocal "
        "denoised fluorescence fluorescent fluo stain stained".split()
    ),
}
"""Words of file and folder names by what they say, the most telling role first."""

_NUCLEAR = frozenset("dapi dna hoechst nuclei nucleus nuclear draq".split())
_STAINS = _NUCLEAR | frozenset(
    "gfp egfp rfp cfp yfp mcherry cherry cy3 cy5 fitc tritc actin er mito tubulin "
    "membrane tom map nfh".split()
)
"""Words that may stand on either side; what is nuclear is rather the target."""


@dataclass(frozen=True)
class Kind:
    """Files that show the same thing, by the part of their name that says which sample.

    Parameters
    ----------
    name
        The part of the names that they share.
    files
        Path by the rest of its name.
    """

    name: str
    files: Mapping[str, Path]

    @property
    def role(self) -> Role | None:
        """What its name says that it is for."""
        return role_of(self.name)

    @property
    def stain(self) -> int:
        """How much its name is that of a target: 2 nuclear, 1 another stain, 0."""
        words = set(_letters(self.name))
        return 2 if words & _NUCLEAR else int(bool(words & _STAINS))


@dataclass(frozen=True)
class Choice:
    """Which kinds are inputs, targets and cost maps, and how their files match.

    ``guessed`` says that the names don't tell which is which.
    """

    input: Kind
    target: Kind
    matches: Matches
    cost_map: Kind | None = None
    guessed: bool = False


def role_of(name: str) -> Role | None:
    """Return what the words of a name say that it is for, None where nothing."""
    words = set(_letters(name))
    # Not the x and y of "zyx" or "x1", but a folder called x.
    words |= {name.lower()} if len(name) == 1 else set()
    return next((role for role, known in _WORDS.items() if words & known), None)


def find_kinds(paths: Sequence[Path], target: TargetKind = "image") -> list[Kind]:
    """Sort files into kinds by the part of their names that isn't the sample's.

    Several ways of cutting names are tried: the last word (``01_dna``), all words
    (``tile_01_input_phase``), words with the numbers between them left out
    (``img2d``), and the number of a channel (``p01-ch3``). That counts in which
    most files find a partner.

    Parameters
    ----------
    paths
        Files of one folder.
    target
        What is looked for beside the input.

    Returns
    -------
    list of Kind
        Those with most files first.
    """
    best: list[Kind] = []
    best_score = (-1, False, 0, 0)
    for cut in (_last_word, _all_words, _loose_words, _channel_number):
        kinds = _sort(paths, cut)
        choice = choose_kinds(kinds, target)
        pairs = len(choice.matches.pairs) if choice else 0
        known = choice is not None and not choice.guessed
        samples = Counter(sample for kind in kinds for sample in kind.files)
        shared = sum(count > 1 for count in samples.values())
        score = (pairs, known, shared, -len(kinds))
        if score > best_score:
            best, best_score = kinds, score
    return sorted(best, key=lambda kind: -len(kind.files))


def choose_kinds(kinds: Sequence[Kind], target: TargetKind = "image") -> Choice | None:
    """Choose what is the input and what the target.

    Parameters
    ----------
    kinds
        As `find_kinds` returns them.
    target
        ``"labels"`` where masks or labels are to be learned.

    Returns
    -------
    Choice or None
        None if no two kinds match. Of those that match equally well, the choice
        that the names speak for.
    """
    choices = []
    files = sum(len(kind.files) for kind in kinds)
    for source, goal in permutations(kinds, 2):
        if "cost_map" in (source.role, goal.role):
            continue
        matches = match_kinds(source, goal)
        liking = _liking(source, goal, matches, target)
        # Two single files always match: only their names say whether they should,
        # and among many others they are there by chance.
        single = len(source.files) == len(goal.files) == 1
        unlike = single and (
            liking < _TOLD or [*source.files] != [*goal.files] or files > _FEW_FILES
        )
        if matches.pairs and liking >= _GUESSED and not unlike:
            choices.append((len(matches.pairs), liking, source, goal, matches))
    if not choices:
        return None
    # A few lonely files don't make what the names speak for the worse choice.
    most = max(count for count, *_ in choices)
    enough = [choice for choice in choices if 2 * choice[0] >= most]
    _, liking, source, goal, matches = max(enough, key=lambda c: (c[1], c[0]))
    cost_map = next((kind for kind in kinds if kind.role == "cost_map"), None)
    return Choice(source, goal, matches, cost_map, guessed=liking < _TOLD)


_FEW_FILES = 8
"""Among more, two single files that fit each other say nothing of the folder."""

_TOLD, _GUESSED = 4, 2
"""Liking from which on names say what is input and target, or hint at it."""


def _liking(source: Kind, goal: Kind, matches: Matches, target: TargetKind) -> int:
    """Return how well the names fit the roles of input and target."""
    wants_labels = target == "labels"
    by_stain = 1 if wants_labels else 1 - source.stain
    as_input = {"input": 3, None: by_stain}.get(source.role, -9)
    as_goal = {
        "labels": 4 if wants_labels else 1,
        "target": 3 if wants_labels else 4,
        None: 0 if wants_labels else goal.stain,
    }.get(goal.role, -9)
    # A mask is often called like its image and what it shows: 01_dapi_mask.
    called_alike = wants_labels and all(
        stem(two.name).startswith(stem(one.name)) for one, two in matches.pairs
    )
    return as_input + as_goal + called_alike


def match_kinds(source: Kind, goal: Kind) -> Matches:
    """Match the files of two kinds by the rest of their names, else in general."""
    shared = [sample for sample in source.files if sample in goal.files]
    if not shared:
        matches = match_files(list(source.files.values()), list(goal.files.values()))
        return matches if not matches.by_order else Matches(())
    alone = [path for sample, path in source.files.items() if sample not in goal.files]
    alone += [path for sample, path in goal.files.items() if sample not in source.files]
    return Matches(
        tuple((source.files[sample], goal.files[sample]) for sample in shared),
        tuple(alone),
    )


_Cut = tuple[str, str]


def _sort(paths: Sequence[Path], cut: Callable[[str], _Cut | None]) -> list[Kind]:
    """Return the kinds of one way of cutting names into kind and sample."""
    found: dict[str, dict[str, Path]] = defaultdict(dict)
    for path in paths:
        parts = cut(stem(path.name))
        if parts is not None:
            kind, sample = parts
            found[kind].setdefault(sample, path)
    shared = set.intersection(*(set(kind.split()) for kind in found)) if found else ()
    return [
        Kind(" ".join(w for w in kind.split() if w not in shared) or kind, files)
        for kind, files in found.items()
    ]


def _tokens(name: str) -> list[str]:
    return [token for token in re.split(r"[^A-Za-z0-9]+", name) if token]


def _letters(name: str) -> list[str]:
    """Return the words of a name in small letters; capitals begin a new one."""
    parts = re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)
    return [part.lower() for part in [*parts, *re.findall(r"[A-Za-z]+", name)]]


def _names_sample(token: str) -> bool:
    return len(token) == 1 or any(letter.isdigit() for letter in token)


def _last_word(name: str) -> _Cut | None:
    tokens = _tokens(name)
    at = [i for i, token in enumerate(tokens) if not _names_sample(token)]
    if not at:
        return None
    return tokens[at[-1]], " ".join(tokens[: at[-1]] + tokens[at[-1] + 1 :])


def _all_words(name: str) -> _Cut | None:
    tokens = _tokens(name)
    words = " ".join(token for token in tokens if not _names_sample(token))
    return (words, " ".join(filter(_names_sample, tokens))) if words else None


def _loose_words(name: str) -> _Cut | None:
    words = " ".join(re.findall(r"[A-Za-z]{2,}", name))
    return (words, " ".join(re.findall(r"\d+", name))) if words else None


_CHANNEL = re.compile(r"(?i)(?<![a-z])(?:channel|ch|(?<![a-z0-9])[cw])[-_]?(\d+)")


def _channel_number(name: str) -> _Cut | None:
    match = _CHANNEL.search(name)
    if match is None:
        return None
    return match.group(), name[: match.start()] + name[match.end() :]

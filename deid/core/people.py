"""Names of persons whom no header names: after titles, roles and kinship, as pairs of names, and in PN form.

A word is taken for a name by where it stands, never by its form alone: medical, technical and everyday
words stay, and so do eponyms, unless a title stands before them. The words that open a name position are
listed in :mod:`deid.core.cues`.
"""

from collections.abc import Iterator

from deid.core.cues import CREDENTIALS, CUES, DEEDS, DEGREES, OF_PERSONS, SHORT_SURNAMES, SKIPPED, Cue
from deid.core.datetext import Removal
from deid.core.folding import Text
from deid.core.lexicon import lexicon
from deid.core.matching import is_eponym_here
from deid.core.spellings import PARTICLES

_JOINT = " .,:;=#()[]<>\"'\u2019-_^/|\t*"
_MOST_WORDS = 7
_MOST_GAP = 4


class _Position:
    """A reader of names in one text."""

    def __init__(self, text: Text, names: frozenset[str]) -> None:
        self.text = text
        self.names = names
        self.lexicon = lexicon()
        self.shouts = text.source.isupper()

    def gap(self, place: int) -> str | None:
        """What stands between a token and the one before; None if too much or a line break."""
        start, end = self.text.ends[place - 1], self.text.starts[place]
        if end - start > _MOST_GAP:
            return None
        between = self.text.source[start:end]
        return between if not between.strip(_JOINT) else None

    def is_capital(self, place: int) -> bool:
        """Whether a word begins with a capital letter or is of a script that has none."""
        letter = self.text.source[self.text.starts[place]]
        return letter.isupper() or not letter.islower()

    def is_nameish(self, place: int, *, titled: bool, listed: bool) -> bool:
        """Whether the word at a place may be a name.

        Args:
            place: Number of the token.
            titled: It follows a title, so that words that are also names count.
            listed: It must be a known name, because all is written in capitals or nothing marks the position.
        """
        word = self.text.words[place]
        if word in self.names and not (listed and self.shouts and self.is_plain(word)):
            return self.is_capital(place) or word in self.lexicon.given or not self.lexicon.is_word(word)
        if word[0].isdecimal() or len(word) < 2:
            return False
        words = self.lexicon
        known = word in words.given or word in words.family
        if not self.is_capital(place):
            return known and not words.is_word(word)
        if word in words.eponyms:
            return (titled or known) and not is_eponym_here(self.text, place)
        if titled and not self.shouts and word in SHORT_SURNAMES and not self.text.source.islower():
            return True
        if words.is_word(word):
            return titled and known and not self.shouts
        return known or not listed

    def end_of_name(self, place: int, *, titled: bool = False, listed: bool = False, least: int = 1) -> int:
        """The token after a name that begins at a place; the place itself where no name begins."""
        text = self.text
        here = place
        found = 0
        last = place
        while here < len(text.words) and here - place < _MOST_WORDS:
            word = text.words[here]
            gap = self.gap(here) if here > place else ""
            if gap is None or (here > place and any(mark in gap for mark in ";:/|()[]=#")):
                break
            if here > place and "," in gap and not self._continues(here, found):
                break
            if here > place and ". " in gap and len(text.words[here - 1]) > 2:
                break
            if self.is_nameish(here, titled=titled or found > 0, listed=listed and found == 0) or (
                found > 0 and least == 1 and self._is_surname_of(here)
            ):
                found += 1
                last = here + 1
            elif len(word) == 1 and word.isalpha() and text.source[text.starts[here]].isupper():
                if here == place and not self._after_initial(here, titled=titled, listed=listed):
                    break
                last = (
                    here + 1 if found or text.source[text.ends[here] : text.ends[here] + 1] == "." else last
                )
            elif word not in PARTICLES or (here > place and "," in gap):
                break
            here += 1
        return last if found >= least else place

    def _is_surname_of(self, place: int) -> bool:
        """Whether an everyday word stands as a surname: right behind a given name, ``Jane Rutherford``."""
        before, source = self.text.words[place - 1], self.text.source
        word = source[self.text.starts[place] : self.text.ends[place]]
        return word.istitle() and before in self.lexicon.given and not self.is_plain(before)

    def _continues(self, place: int, found: int) -> bool:
        """Whether a name goes on after a comma, as in ``Smith, John``."""
        if found != 1:
            return False
        word = self.text.words[place]
        if len(word) == 1:
            # "Smith, J." goes on; "Smith, V.a. ..." (suspicion of) does not.
            after = self.text.source[self.text.ends[place] : self.text.ends[place] + 2]
            return self.is_capital(place) and not after[:1].isalpha() and not after[1:].isalpha()
        return word in self.names or (
            self.is_capital(place) and word in self.lexicon.given and not self.is_plain(word)
        )

    def is_plain(self, word: str) -> bool:
        """Whether a word is everyday or technical and no eponym."""
        return self.lexicon.is_word(word) and word not in self.lexicon.eponyms

    def _after_initial(self, place: int, *, titled: bool, listed: bool) -> bool:
        """Whether a name follows one or two initials."""
        for following in range(place + 1, min(place + 4, len(self.text.words))):
            if self.gap(following) is None:
                return False
            if len(self.text.words[following]) > 1:
                if self.text.words[following] in PARTICLES:
                    continue
                return self.is_nameish(following, titled=titled, listed=listed)
        return False

    def has_degree(self, place: int) -> bool:
        """Whether a degree follows after a comma: ``Rutherford, MD``."""
        following = place + 1
        word = self.text.source[self.text.starts[place] : self.text.ends[place]]
        if following >= len(self.text.words) or not word.istitle():
            return False
        return "," in (self.gap(following) or "") and self.text.words[following] in DEGREES

    def with_credentials(self, place: int) -> int:
        """Pass over degrees after a name: ``Smith, MD, PhD``."""
        words = self.text.words
        while place < len(words) and words[place] in CREDENTIALS and self.gap(place) is not None:
            if not self.text.source[self.text.starts[place]].isupper() or "\n" in (self.gap(place) or ""):
                break
            place += 1
        return place


def person_removals(text: Text, names: frozenset[str]) -> Iterator[Removal]:
    """Names of persons, known or not, by their position."""
    position = _Position(text, names)
    words, given = text.words, position.lexicon.given
    done = 0
    for place, word in enumerate(words):
        if place < done:
            continue
        cue = CUES.get(word)
        begin = end = place
        if cue is not None:
            begin, end = _after_cue(position, place, cue)
        if end <= begin and position.has_degree(place):
            begin, end = place, position.with_credentials(place + 1)
        if end <= begin and (
            word in given
            or word in position.lexicon.family
            or (text.source[text.ends[place] : text.ends[place] + 1] == "," and len(word) > 2)
        ):
            begin, end = _pair(position, place)
        if end > begin:
            done = end
            yield text.starts[begin], text.ends[end - 1], ""
    if "^" in text.source:
        yield from _carets(position)


def _after_cue(position: _Position, place: int, cue: Cue) -> tuple[int, int]:
    """First token of a name after a cue and the token behind it; equal where there is none."""
    text = position.text
    start = place + 1
    if start >= len(text.words):
        return place, place
    gap = position.gap(start)
    if gap is None or gap == "":
        return place, place
    if cue in (Cue.TITLE, Cue.SHORT_TITLE):
        return _after_title(position, place, gap)
    if gap.strip() in (".", ",") and cue not in (Cue.KIN, Cue.ROLE):
        return place, place
    signed = ":" in gap or "=" in gap or "#" in gap
    if cue is Cue.BY and (place == 0 or text.words[place - 1] not in DEEDS):
        cue = Cue.FOR
    if cue is Cue.NAME and place and not signed and text.words[place - 1] not in OF_PERSONS:
        return place, place
    if cue is Cue.NAME and place and text.starts[place] - text.ends[place - 1] <= 1:
        before = text.words[place - 1]
        if before not in OF_PERSONS and position.lexicon.is_word(before):
            return place, place
    begin = None
    while start < min(len(text.words) - 1, place + 8) and text.words[start] in SKIPPED and not signed:
        if begin is None and CUES.get(text.words[start]) in (Cue.TITLE, Cue.SHORT_TITLE):
            begin = start
        start += 1
        if position.gap(start) is None:
            return place, place
        signed = signed or cue is Cue.NAME or ":" in (position.gap(start) or "")
    if cue is Cue.FOR:
        end = position.end_of_name(start, listed=position.shouts, least=2)
    elif cue is Cue.BY:
        end = position.end_of_name(start, titled=text.words[start] in position.lexicon.eponyms)
    else:
        end = _end_after_role(position, start, cue, signed)
    if end <= start:
        return start, start
    return start if begin is None else begin, position.with_credentials(end)


def _end_after_role(position: _Position, start: int, cue: Cue, signed: bool) -> int:
    """The end of a name after a role; after a colon an everyday word may begin it (Green, Rolf)."""
    if signed:
        end = position.end_of_name(start, titled=True, least=2)
        # "Technologist: Hodgkin." names somebody, "Patient: Parkinson" may name what he has
        somebody = cue is Cue.ROLE and position.text.words[start] in position.lexicon.eponyms
        return end if end > start else position.end_of_name(start, titled=somebody)
    end = position.end_of_name(start, listed=True)
    if end == start and cue is Cue.ROLE and not position.shouts:
        return position.end_of_name(start, least=2)
    return end


def _after_title(position: _Position, place: int, gap: str) -> tuple[int, int]:
    """A title goes with its name. In capitals, Dr, Mr and Ms need a point and a name that is listed."""
    text = position.text
    if gap.strip(" ._\t") or "\n" in gap:
        return place, place
    title = text.source[text.starts[place] : text.ends[place]]
    pointed = "." in gap
    short = CUES[text.words[place]] is Cue.SHORT_TITLE
    doubtful = short and not (
        title.istitle() and (len(title) > 1) and (pointed or title in ("Dr", "Mr", "Ms", "Drs", "Hr"))
    )
    if short and not doubtful and not pointed and position.shouts:
        doubtful = True
    if short and title.isupper() and not pointed and not position.shouts and len(title) > 1:
        return place, place
    start = place + 1
    limit = min(len(text.words) - 1, place + 8)
    while start < limit and text.words[start] in SKIPPED and position.gap(start + 1) is not None:
        start += 1
    end = position.end_of_name(start, titled=not doubtful, listed=doubtful)
    if end <= start:
        return place, place
    return place, position.with_credentials(end)


def _pair(position: _Position, place: int) -> tuple[int, int]:
    """A given name and a surname side by side, in either order, or with a comma between them."""
    text, words = position.text, position.lexicon
    following = place + 1
    if not position.is_capital(place):
        return place, place
    second = following
    limit = min(len(text.words), place + 3)
    while second < limit and len(text.words[second]) == 1 and position.is_capital(second):
        second += 1
    while second < len(text.words) and text.words[second] in PARTICLES and second - place < 4:
        second += 1
    if second >= len(text.words) or not position.is_capital(second):
        return place, place
    gaps = [position.gap(step) for step in range(following, second + 1)]
    if any(gap is None or gap == "" or gap.strip(" ,._-") for gap in gaps):
        return place, place
    comma = any("," in (gap or "") for gap in gaps)
    if any(". " in (gap or "") for gap in gaps[-1:]) and second == following:
        return place, place
    one, two = text.words[place], text.words[second]
    if one in words.eponyms and two in words.eponyms and not comma:
        return place, place
    if is_eponym_here(text, second) and one in words.eponyms | words.words:
        return place, place
    first_given = one in words.given and not position.is_plain(one)
    first_family = not position.is_plain(one) and (one in words.family or (comma and one.isalpha()))
    second_given = two in words.given and not position.is_plain(two)
    second_family = (two in words.family and not position.is_plain(two)) or (
        not words.is_word(two) and len(two) > 2
    )
    if not position.shouts and not comma:
        # Mark Pierson, Audrey Blanc: one of two may be an everyday word.
        first_given = first_given or (
            one in words.given and two in words.family and not position.is_plain(two)
        )
        second_family = second_family or two in words.family
    if (first_given and second_family and not comma) or (first_family and second_given):
        return place, position.with_credentials(second + 1)
    return place, place


def _carets(position: _Position) -> Iterator[Removal]:
    """``Family^Given`` of nobody known; ``HEAD^Neck`` and ``Research^Protocol`` name no person."""
    text, words = position.text, position.lexicon
    place = 0
    while place < len(text.words) - 1:
        last = place
        while last + 1 < len(text.words) and (position.gap(last + 1) or "").strip(" ") in ("^", "^^", "^^^"):
            last += 1
        if last > place:
            parts = [w for w in text.words[place : last + 1] if w.isalpha()]
            plain = [w for w in parts if position.is_plain(w)]
            listed = [w for w in parts if w in words.given or w in words.family]
            if len(parts) > 1 and (not plain or len(listed) >= 2):
                yield text.starts[place], text.ends[last], ""
        place = last + 1

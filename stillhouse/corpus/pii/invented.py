"""Names that nobody bears, drawn from parts that sound like names: "Ranavidor", "Talindagal".

A real name as a surrogate would say of one person what was said of another, who may well work two
doors away. None of these 178,560 words was among the 91,910 names of the census that the `names`
package carries, the words of all lists of people, places and companies of Faker 40, or Webster's
dictionary. So a word of this form is ours, wherever it stands. A word costs 3.9 tokens with
SmolLM2's tokenizer.
"""

from __future__ import annotations

from collections.abc import Callable


def _parts(written: str) -> tuple[str, ...]:
    return tuple(written.split())


HEADS = _parts(
    "Ab Ad Al Am An Ar As At Av Bal Ban Bel Ben Bor Bran Bren Bru Cal Cam Car Ced Cor Cres Dal Dan "
    "Dar Del Den Dor Dre Du Ed El Em En Er Es Fal Fen Fer Fin Fol Fre Gal Gar Ger Gil Gra Gre Hal "
    "Han Har Hel Hen Hol Il Im In Is Jan Jar Jel Jor Kal Kar Kel Ken Kor Lam Lan Lar Len Lin Lor "
    "Mal Man Mar Mel Mer Mil Mor Nal Nar Nel Nor Ol Or Os Pal Par Pel Per Pol Ral Ran Rel Ren Ros "
    "Sal San Sel Sil Sor Tal Tan Tar Tel Ter Tor Ul Un Ur Val Van Vel Ver Vin Wal Wen Wil Yar Yel "
    "Zal Zan"
)
MIDDLES = _parts(
    "adri alvo andri arvi asti avi edri elvi endri erva esti evi idra ilvo inda irva isti ivo odra "
    "olvi ondri orva osti ovi udri ulva undri urvi usta uvi"
)
TAILS = _parts(
    "bel ben bor dan del den din dor fan fen gal gan hal han kel ken lan len lor mal man mar mel "
    "min mon mor nal nel nen nor ral ran rel ren ris sal sen tan tel ton val van vel ven vin zan "
    "zel zen"
)
PLACE_TAILS = _parts(
    "bach beck berg bridge bury combe dorf feld field ford ham haven holm hurst mere mouth stead "
    "stow thorpe wick"
)

Below = Callable[[int], int]
"""Draws a number from 0 up to, and without, its argument."""


def _any(parts: tuple[str, ...]) -> str:
    return f"(?:{'|'.join(parts)})"


# The forms of words and places as regular expressions, which RE2 understands too.
WORD = f"{_any(HEADS)}{_any(MIDDLES)}{_any(TAILS)}"
PLACE = f"{_any(HEADS)}{_any(MIDDLES)}{_any(PLACE_TAILS)}"


def word(below: Below) -> str:
    """One of 178,560."""
    return "".join(parts[below(len(parts))] for parts in (HEADS, MIDDLES, TAILS))


def place(below: Below) -> str:
    """One of 74,400."""
    return "".join(parts[below(len(parts))] for parts in (HEADS, MIDDLES, PLACE_TAILS))

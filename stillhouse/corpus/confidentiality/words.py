"""What documents of five languages are marked with, and the level that each marking stands for.

Where schemes differ, the higher level is taken: what is held back by mistake can be lowered by a
person,
what was learned can't be unlearned. So a company's "for insiders" (社外秘) is confidential,
and a state's lowest secret (VS-NfD, diffusion restreinte, OFFICIAL-SENSITIVE) is restricted.
Spaces, case, accents of Latin letters, punctuation and "and" don't count (see `key`).
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from stillhouse.config.corpus import Confidentiality

# Latin accents; Thai vowels and Japanese sound marks are letters of their own.
ACCENTS = re.compile("[\u0300-\u036f]")
CONNECTING = {"and", "und", "et"}

PUBLIC = """
public, public information, public document, for public release, approved for public release,
cleared for public release, unclassified, tlp clear, tlp white, c0, c1 public,
öffentlich, offen, zur veröffentlichung, zur veröffentlichung freigegeben, nicht klassifiziert,
public c1, diffusion publique, document public, usage public, non protégé, diffusion libre,
公開, 公開可, 公開情報, 公開資料, 一般公開, 機密性1, 機密性1情報,
สาธารณะ, ข้อมูลสาธารณะ, เปิดเผยได้, เผยแพร่ได้, เผยแพร่สาธารณะ, เอกสารสาธารณะ
"""
INTERNAL = """
internal, internal use, internal use only, for internal use, for internal use only, internal only,
internal document, internal information, company internal, internal distribution only,
not for public release, not for external distribution, not for external use, general, c1,
c2, tlp green, official, non public, employees only, for employees only,
intern, interne, internes dokument, interne verwendung, nur intern, nur für intern, firmenintern,
betriebsintern, unternehmensintern, nur für internen gebrauch, nur zum internen gebrauch,
nur für den internen gebrauch, nur zur internen verwendung, nur für interne verwendung,
nur für interne zwecke, zum internen gebrauch, für den internen gebrauch,
nur für den internen dienstgebrauch, nicht zur veröffentlichung,
nicht zur veröffentlichung bestimmt, nur für mitarbeiter,
usage interne, usage interne uniquement, usage interne seulement, a usage interne,
a usage interne uniquement, à usage strictement interne, usage strictement interne,
document interne, document a usage interne, réservé à l'usage interne, réservé a usage interne,
diffusion interne, diffusion interne uniquement, interne uniquement, strictement interne,
ne pas diffuser à l'extérieur,
社内限, 社内限り, 社内用, 社内限定, 社内資料, 社内文書, 社内のみ, 部内限り, 部内限, 内部資料,
内部用,
ใช้ภายใน, ใช้ภายในเท่านั้น, ใช้ภายในองค์กร, ใช้ภายในองค์กรเท่านั้น, ใช้ภายในบริษัทเท่านั้น,
สำหรับใช้ภายใน, สำหรับใช้ภายในเท่านั้น, สำหรับใช้ภายในองค์กรเท่านั้น, เพื่อใช้ภายในเท่านั้น,
เพื่อใช้ภายในองค์กรเท่านั้น, เอกสารภายใน, เอกสารใช้ภายใน, เอกสารใช้ภายในเท่านั้น, ภายใน,
ข้อมูลภายใน, ภายในเท่านั้น, ข้อมูลใช้ภายใน
"""
CONFIDENTIAL = """
confidential, confidential information, confidential document, confidential material,
company confidential, business confidential, commercial in confidence, commercially sensitive,
in confidence, private confidential, personal confidential, confidential proprietary,
proprietary confidential, proprietary, proprietary information,
confidential proprietary information,
confidential internal, internal confidential, internal use only confidential,
confidential do not distribute, confidential do not copy, confidential do not forward,
do not distribute, do not forward, not for distribution, not for circulation, need to know,
client confidential, customer confidential, partner confidential, confidential draft,
confidential for internal use only, confidential business information, sensitive, private,
personal, trade secret, limited distribution, tlp amber, c3, cui,
controlled unclassified information,
attorney client privileged, privileged confidential, attorney client privilege,
sensitive but unclassified, sbu, medical in confidence, staff in confidence,
vertraulich, vertrauliches dokument, vertrauliche unterlagen, vertrauliche information,
vertrauliche informationen, intern vertraulich, vertraulich intern, firmenvertraulich,
geschäftlich vertraulich, betrieblich vertraulich, persönlich vertraulich, privat vertraulich,
vertraulich persönlich, vertraulich nur für internen gebrauch, vertraulich behandeln,
bitte vertraulich behandeln, vertraulich zu behandeln, betriebsgeheimnis, geschäftsgeheimnis,
betriebs geschäftsgeheimnis, nicht weitergeben, nicht zur weitergabe,
nicht zur weitergabe bestimmt,
verschlusssache,
confidentiel, document confidentiel, informations confidentielles, information confidentielle,
confidentiel entreprise, confidentiel interne, interne confidentiel, confidentiel société,
personnel confidentiel, privé confidentiel, confidentiel ne pas diffuser, ne pas diffuser,
ne pas divulguer, diffusion limitée, diffusion interdite, secret des affaires,
confidentiel commercial,
confidentiel industrie,
社外秘, 部外秘, 対外秘, 秘, マル秘, 秘密, 秘文書, 機密, 機密情報, 機密文書, 機密資料, 社外秘情報,
社外秘文書, 社外秘資料, 関係者外秘, 関係者限り, 関係者限定, 関係者以外秘, 取扱注意, 取り扱い注意,
取扱い注意, 要注意情報, 親展, 社外持出禁止, 持出禁止, 複写禁止, 部外者閲覧禁止, 営業秘密,
機密性2, 機密性2情報,
ลับ, เอกสารลับ, ข้อมูลลับ, ความลับ, เป็นความลับ, ปกปิด, ลับเฉพาะ, ข้อมูลที่เป็นความลับ,
เอกสารที่เป็นความลับ, ความลับของบริษัท, ความลับทางการค้า, ห้ามเผยแพร่, ห้ามเปิดเผย,
เฉพาะผู้เกี่ยวข้อง
"""
RESTRICTED = """
strictly confidential, strictly private confidential, private strictly confidential,
highly confidential, most confidential, top confidential, extremely confidential,
very confidential, confidential restricted, restricted confidential, restricted,
restricted distribution, restricted circulation, restricted information, restricted access,
highly restricted, strictly restricted, strictly private, highly sensitive, most secret, secret,
top secret, company secret, strictly personal confidential, board confidential, eyes only,
for your eyes only, official sensitive, for official use only, fouo, nato restricted,
nato confidential, nato secret, cosmic top secret, eu restricted, eu confidential, eu secret,
eu top secret, restreint ue, restreint ue eu restricted, confidentiel ue, secret ue,
tres secret ue, tlp red, tlp amber strict, tlp amber+strict, c4, c5,
streng vertraulich, strengstens vertraulich, strikt vertraulich, höchst vertraulich,
hochvertraulich, streng persönlich vertraulich, streng vertraulich persönlich, geheim,
streng geheim, strenggeheim, vs nfd, vsnfd, vs nur für den dienstgebrauch,
verschlusssache nur für den dienstgebrauch, vs nur f d dienstgebrauch,
vs nfd nur für den dienstgebrauch, vs nfd verschlusssache nur für den dienstgebrauch,
nur für den dienstgebrauch, vs vertraulich, vs geheim, vs streng geheim,
strictement confidentiel, très confidentiel, hautement confidentiel, rigoureusement confidentiel,
diffusion restreinte, diffusion strictement restreinte, accès restreint,
diffusion très restreinte,
restreint, secret défense, très secret, très secret défense, confidentiel défense,
confidentiel personnel strict, strictement personnel confidentiel, spécial france,
diffusion restreinte spécial france,
極秘, 極秘情報, 極秘文書, 極秘資料, 厳秘, 最高機密, 特定秘密, 取扱厳重注意, 極秘扱い, 機密性3,
機密性3情報,
ลับมาก, ลับที่สุด, ลับสุดยอด, เอกสารลับมาก, เอกสารลับที่สุด, ข้อมูลลับมาก, ข้อมูลลับที่สุด
"""

# What stands before a level: "Classification: C3".
LABELS = """
classification, security classification, document classification, data classification,
information classification, classification level, classified as, confidentiality,
confidentiality level, confidentiality class, sensitivity, sensitivity label, sensitivity level,
security level, security class, security marking, protective marking, protection class,
document class, information class, data class, dissemination, dissemination level, tlp,
traffic light protocol, company confidentiality, marking,
klassifizierung, klassifikation, vertraulichkeit, vertraulichkeitsstufe, vertraulichkeitsklasse,
vertraulichkeitsgrad, einstufung, schutzklasse, schutzstufe, sicherheitsstufe, sicherheitsklasse,
geheimhaltungsstufe, geheimhaltungsgrad, dokumentenklasse, informationsklasse, schutzbedarf,
dokumentenklassifizierung, datenklassifizierung, verschlusssachengrad,
niveau de confidentialité, confidentialité, niveau de classification, niveau de sensibilité,
sensibilité, classification de sécurité, classe de confidentialité, classification du document,
degré de confidentialité, niveau de diffusion, mention de protection,
機密区分, 秘密区分, 機密レベル, 機密度, 取扱区分, 取り扱い区分, 情報区分, 文書区分, 機密性,
秘密等級,
情報分類, 機密分類, 機密性区分, 情報格付け, 格付け, セキュリティ区分, セキュリティレベル,
ชั้นความลับ, ระดับความลับ, ระดับชั้นความลับ, ชั้นความลับของเอกสาร, ประเภทชั้นความลับ,
การจัดชั้นความลับ, ระดับการเปิดเผย
"""


class _Kept(dict[int, str]):
    """What `str.translate` puts for a code point: letters, marks and numbers themselves, a space
    for others; filled as characters are met."""

    def __missing__(self, point: int) -> str:
        character = chr(point)
        self[point] = character if unicodedata.category(character)[0] in "LMN" else " "
        return self[point]


_KEPT = _Kept()


@lru_cache(maxsize=4096)  # a line is asked for several times, as a whole and in parts
def key(text: str) -> str:
    """What all ways of writing a marking have alike: "V E R T R A U L I C H", "vertraulich"."""
    folded = ACCENTS.sub("", unicodedata.normalize("NFKD", text.casefold()))
    folded = unicodedata.normalize("NFKC", folded)
    return "".join(word for word in folded.translate(_KEPT).split() if word not in CONNECTING)


def _keys(phrases: str) -> list[str]:
    return [key(phrase) for phrase in phrases.replace("\n", " ").split(",") if phrase.strip()]


LEVELS: dict[str, Confidentiality] = {
    **dict.fromkeys(_keys(PUBLIC), "public"),
    **dict.fromkeys(_keys(INTERNAL), "internal"),
    **dict.fromkeys(_keys(CONFIDENTIAL), "confidential"),
    **dict.fromkeys(_keys(RESTRICTED), "restricted"),
}
LABEL_KEYS = frozenset(_keys(LABELS))
# By itself in a text, or among keywords, each of these may be about anything; in a footer, behind
# "Classification:" or on a label it isn't.
WEAK = frozenset(
    _keys("c0, c1, c2, c3, c4, c5, general, official, offen, personal, private, sensitive")
)

"""Words by which a questionnaire says that there is no answer: "don't know", "refused", in the usual languages.

Not among them is what may be an answer: none, never, other, neither; "trifft nicht zu", which also disagrees.
"""

import re
import unicodedata

# Without accents, apostrophes and points; beside one of them only another one may stand.
_LANGUAGES = {
    "en": "missing|missing value|system missing|user missing|not asked|not answered|no answer|no response"
    "|non response|nonresponse|not ascertained|not available|not applicable|not appl|inapplicable|inap|iap|na|n a|nan"
    "|nr|skip|skipped|not stated|no data|dont know|do not know|does not know|didnt know|cant say|cannot say|dk|dk na"
    "|cant choose|refused|refusal|refuses|refused to answer|prefer not to say|prefer not to answer"
    "|decline to answer|declined",
    "de": "keine angabe|keine angaben|ka|k a|weiss nicht|wn|w n|verweigert|verweigerung|antwort verweigert|fehlend"
    "|keine antwort|nicht erhoben|nicht gefragt|entfallt|fehlender wert|kann ich nicht sagen",
    "fr": "sans reponse|non reponse|pas de reponse|ne sait pas|ne sait pas dire|nsp|nspp|ne se prononce pas|refus"
    "|refuse de repondre|non concerne|manquant",
    "es": "no sabe|no contesta|ns|nc|ns nc|sin respuesta|no responde|no aplica|rechaza|perdido|no procede",
    "it": "non so|non sa|non risponde|rifiuta|rifiuto|nessuna risposta|mancante|non applicabile",
    "pt": "nao sabe|nao respondeu|nao responde|sem resposta|nao se aplica|recusa|recusou|nsnr",
    "nl": "weet niet|geen antwoord|weigert|geweigerd|niet van toepassing|nvt|n v t",
    "sv, no, da": "vet ej|vet inte|vet ikke|ikke svar|ej svar|inget svar|onskar ej svara",
    "pl": "nie wiem|brak odpowiedzi|odmowa",
}
_WORDS = frozenset(word for words in _LANGUAGES.values() for word in words.split("|"))
_PARTS = re.compile(r"[/,;:()\[\]|–—-]+|\b(?:or|oder|ou|und|and|et|y|o|of|e|eller)\b")
_CODE = re.compile(r"^[\s.:=)(-]*\d+[\s.:=)(-]*")  # "99. Don't know", "-9: refused"


def says_nothing(label: str) -> bool:
    """Whether all that a label says is that there is no answer."""
    plain = unicodedata.normalize("NFKD", label.lower().replace("ß", "ss"))
    plain = "".join(sign for sign in plain if not unicodedata.combining(sign))
    plain = re.sub(r"['’`´.]", "", _CODE.sub("", plain))
    whole = " ".join(re.findall(r"\w+", plain))
    parts = [" ".join(part.split()) for part in _PARTS.split(plain)]
    filled = [part for part in parts if part and part not in ("vol", "spontaneous")]
    return whole in _WORDS or (bool(filled) and all(part in _WORDS for part in filled))

"""Lists of words by which names are told: given names, titles, places, what stands around them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def _spelled(file: str) -> dict[str, str]:
    """The names in a file beside this one, by their lower case."""
    names = Path(__file__).with_name(file).read_text("utf-8").split()
    return {name.lower(): name for name in names}


PEOPLE = _spelled("people.txt")
"""Given names and surnames that are no words."""
COMMON = PEOPLE | _spelled("places.txt")
"""These, and such names of places, companies and things."""
TITLES = "Mr|Mrs|Ms|Dr|Prof|Capt|Lt|Sgt|Rev|St|Sr|Sra|Srta|Dra"
"""Titles that end in a point. What follows belongs to them, even if it is a common word."""
COURTESY = {
    ("es", "en"): {
        **{"señor": "Mr.", "señora": "Mrs.", "señorita": "Miss", "doctor": "Dr.", "doctora": "Dr."},
        **{"sr.": "Mr.", "sra.": "Mrs.", "srta.": "Miss", "dr.": "Dr.", "dra.": "Dr."},
        **{"profesor": "Professor", "profesora": "Professor", "don": "Don", "doña": "Doña"},
        **dict.fromkeys(("señor y la señora", "señor y señora", "sr. y la sra.", "sr. y sra."), "Mr. and Mrs."),
    }
}
ROLES = (
    "President[ea]|Ministr[oa]|Director|Directora|Alcalde|Alcaldesa|Juez|Jueza|Embajadora?|Senadora?|Gobernadora?|"
    "Rectora?|Policía|Dios|Jesús|Jesucristo|Honoris"
)
"""What stands after a title and is no name."""
_GIVEN = (
    "Alba|Alma|Amber|Amparo|Angel|Aurora|Ámbar|Ángel|Barry|Basil|Bautista|Bill|Blanca|Bob|Bonnie|Brandy|"
    "Brooke|Bruno|Bud|Candela|Candy|Caridad|Carmen|Carol|Carter|Casey|Celeste|Chase|Chester|Chip|Clara|Clay|"
    "Clement|Clemente|Cliff|Colt|Concepción|Concha|Constance|Consuelo|Coral|Cruz|Crystal|Daisy|Dale|Dalia|Dan|"
    "Dawn|Dean|Diana|Dolores|Drew|Earl|Encarnación|Ernest|Esperanza|Estela|Ester|Estrella|Faith|Fern|Flor|Flora|"
    "Franco|Frank|Gene|Ginger|Glen|Gloria|Grace|Grant|Harry|Hazel|Heath|Heather|Herb|Holden|Holly|Homer|Hope|"
    "Hunter|Inmaculada|Iris|Ivy|Jacinto|Jack|Jasmine|Jay|Jazmín|Jean|Jerónimo|Jewel|Joy|Kit|Lance|Laurel|Lee|"
    "Lena|Leo|Leon|León|Lidia|Lily|Lina|Linda|Lisa|Lola|Lourdes|Lucio|Lucía|Luz|Magdalena|Marc|Marcial|Marcos|"
    "Margarita|Marina|Mark|Martin|Martín|Mason|Matt|Max|Maya|Melody|Mercedes|Mia|Milagros|Miles|Miranda|Misty|"
    "Narciso|Nick|Nieves|Nina|Norm|Norma|Olive|Olivia|Opal|Paloma|Parker|Pascual|Pat|Patsy|Patty|Pearl|Peg|Penny|"
    "Perla|Pierce|Pilar|Piper|Poppy|Ray|Reed|Reid|Remedios|Rich|Rob|Robin|Rocío|Rod|Ron|Rosa|Rosario|Rose|Ruby|"
    "Rusty|Rut|Sage|Sally|Salvador|Sandy|Saúl|Scarlet|Scott|Sean|Serena|Sierra|Skip|Sky|Socorro|Soledad|Stan|"
    "Stella|Sue|Sunny|Tara|Teddy|Tina|Tito|Tucker|Vera|Victor|Victoria|Viola|Violet|Violeta|Vivian|Viviana|Víctor|Wade|"
    "Ward|Will|Willow|Woody"
)
GIVEN = frozenset(_GIVEN.split("|"))
"""Given names that are common words too."""
UNCOUNTED = (
    "Amber|Basil|Brandy|Candy|Clay|Coral|Crystal|Dale|Dan|Dawn|Faith|Ginger|Grace|Heather|Holly|Hope|Ivy|Jasmine|Joy|"
    "Lee|Leo|Milagros|Miles|Olive|Ron|Sage|Sean|Socorro|Viola|Violet"
)
"""Those that may begin a sentence as words, without an article."""
SURNAMES = (
    "Baker|Banks|Bell|Black|Bond|Brooks|Brown|Bush|Butler|Cook|Cooper|Fisher|Ford|Fox|Gates|Gray|Green|Hill|Hunt|King|"
    "Mars|Moon|Page|Pitt|Potter|Powers|Price|Rice|Rivers|Sparrow|Stone|Styles|Swift|Turner|Walker|Waters|White|Wonder|"
    "Wood|Woods|Young"
)
"""Surnames that are common words too."""
FIRST_PARTS = "New|Nueva|Nuevo|San|Santa|Saint|Great|Gran"
"""First words of places' names: `New Jersey`, `Gran Muralla`."""
TOGETHER = "Ivory Coast|Red Sea|Dead Sea|Mar Negro|Mar Rojo|Mar Muerto"
"""Names that are read as they are typed."""
RANKS = (
    "Professor|Doctor|President|Captain|General|Judge|Officer|Detective|Inspector|Coach|Uncle|Aunt|Miss|Sir|Lady|"
    "Profesor|Profesora|Capitán|Tío|Tía"
)
"""What a surname stands after, and the network translates."""
BRANDS = (
    "Amazon|Apple|Canon|Chrome|Claro|Correos|Delta|Discord|Dove|Excel|Galaxy|Granada|Iberia|Intel|Mango|Mastercard|Meta|"
    "Oracle|Outlook|Pandora|Safari|Shell|Signal|Slack|Subway|Target|Teams|Telefónica|Visa|Windows|Word|Zara|Zoom"
)
"""Names of companies, products and a city that are common words too; names within a sentence, unless an article stands
before them (`the Amazon`)."""
PHRASES = (
    "Coca-Cola|La Paz|Los Ángeles|Buenos Aires|Costa Rica|Puerto Rico|Real Madrid|Real Sociedad|Manchester United|"
    "Champions League|Premier League|Super Bowl|Star Wars|Game of Thrones|Black Friday|Wall Street|Times Square|"
    "Central Park|Hyde Park|Golden Gate|Silicon Valley|Big Ben|Sagrada Familia|Gran Vía|Plaza Mayor"
)
"""Names of common words."""
ROADS = "Street|Road|Avenue|Lane|Boulevard"
WAYS = "[Cc]alle|[Aa]venida"
"""What stands after the name of a street, and before one."""
NO_ROADS = "Which|What|Every|Each|This|That|Another|Some|Any|No|One|My|Your|His|Her|Our|Their|Who|To|Please|Street|Road"
"""What is no name before `ROADS`."""
ACTS = (
    "said|says|told|tells|asked|asks|called|calls|wants|wanted|likes|liked|knows|knew|loves|loved|hates|lives|lived|"
    "works|worked|left|plays|speaks|studies|thinks|thought|wrote|bought|"
    "(?:(?:me|te|le|nos|les) )?(?:dijo|dice|preguntó|llamó|quiere|quería|sabe|sabía)|"
    "está|estaba|tiene|tenía|vive|vivía|trabaja|trabajaba|habla|juega|estudia|viene|vino|(?:ya )?se (?:fue|llama)"
)
"""What a person does."""
IS = (
    "(?:is|was|has|had|will|can|came|comes|went|goes|never|looks|looked|needs|got|gave|es|era|fue|va|ha|había)"
    "(?! what| lo que)|(?:is|was|does|did|has|ca|wo)n't|\\p{Ll}+ó|(?:no|me|se) \\p{Ll}+|(?:and|y) (?:I|his|her|yo|su)"
)
"""What follows a subject: a word that is counted has an article there, a name has none."""
OPENERS = (
    "he|she|it|they|we|you|i|the|this|that|there|then|but|and|él|ella|ellos|ellas|es|el|la|los|las|yo|no|pero|y|se"
)
"""Words with which the next sentence begins."""
ARTICLES = "The|El|La|Los|Las"
WITHIN = "of|the|and|with|in|on|to|for|a|an|at|from|by|de|del|el|la|los|las|y|en|con|al|un|una"
"""Between the words of the title of a work."""
SMALL = frozenset(f"{WITHIN}|que|a|por|is|are|es|son".split("|"))
"""What a title has in lower case."""
LISTS = {
    "people": "|".join(PEOPLE.values()),
    "common": "|".join(COMMON.values()),
    "titles": TITLES,
    "roles": ROLES,
    "given": _GIVEN,
    "uncounted": UNCOUNTED,
    "surnames": SURNAMES,
    "first_parts": FIRST_PARTS,
    "together": TOGETHER,
    "ranks": RANKS,
    "brands": BRANDS,
    "phrases": PHRASES,
    "roads": ROADS,
    "ways": WAYS,
    "no_roads": NO_ROADS,
    "acts": ACTS,
    "is": IS,
    "openers": OPENERS,
    "articles": ARTICLES,
    "within": WITHIN,
}
"""Words between bars, for nmt/page/names.mjs."""


def is_listed(names: Mapping[str, str], word: str) -> bool:
    """Whether the word is one of the names, and spelled as these are."""
    return names.get(word.lower()) == word

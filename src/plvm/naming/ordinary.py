"""Names that are ordinary English words too, and where such a word stands as a name.

"Will", "May" and "Rose" count as names only when they are capitalised where a sentence does not capitalise by itself. The
list is our own: words that people are called, and words that questions about pictures are made of.
"""

from __future__ import annotations

import re

_NAMES = """
ace amber amethyst angel april art ash aspen aurora autumn baron bay bear bee bell berry bill birch bird bishop blanche blaze
bliss blossom blue bob boots boss boy brandy brook brooke brown bubbles buck bud buddy bunny buster butler buttercup butterfly
candy captain cash cat chance charity charm chase cherry chip chuck clay cliff cloud clove colt cookie coral cotton cricket
crystal daisy dash dawn dell denim destiny diamond dot dove drew duke dusty earl ebony echo eden ember emerald eve ever faith
falcon fawn fern fields finch finn flora flower forest fox frank frost ginger glory gold grace grant gray green grey guy happy
harmony hawk hazel heath heather heaven holly honey honor hope hunter ice indigo iris iron ivory ivy jade jasmine jay jersey
jet jewel journey joy june juniper justice king kit kitty knight lady lake lance lane laurel lavender leaf lee liberty lily
lime linden link lion lord lotus love lucky lynx magic magnolia major mandarin maple mare marigold mark marsh may meadow
melody mercy merit mike mile miles mill mink mint misty moon morning moss muffin neat noble north oak ocean olive onyx opal
orchid otter pansy paris park pat patience paw peace peach peaches pearl pebbles penny pepper pet petal petunia phoenix pierce
pip piper pixie pop poppy prince princess promise puck queen quest rain rainbow ranger raven ray rebel red reed reef rich
ridge river robin rock rocky rod rose rowan royal ruby rue rush rusty rye sable sage sailor sally salt sandy sapphire scarlet
scout sea season serenity shadow shell sky slate snow snowy sonny sorrel spike spring star sterling stone storm stormy sugar
summer sun sunny sunshine swan sweet taffy tamarind teal temple thorn tiger topaz trace trip true truly trust tulip valentine
van velvet venus victory vine viola violet vivid walker ward warren watch water waters wave webb west white whitney will
willow windy wing winter wish wit wolf wood woods woody worth yarrow young
"""
_SMALL = """
a able about above across after again against ago ahead all almost alone along already also although always am among an and
another any anybody anyone anything anyway anywhere apart are aren around as aside at away back be because become been before
begin behind being below beneath beside besides best better between beyond both but by bye can cannot caption compare could
couldn count describe did didn different do does doesn doing don done down during each either else enough even every everybody
everyone everything everywhere except explain far few find first for forward four from front further get gets give go goes
going gone good got great guess had hadn half has hasn have haven having he hello help her here hers herself hey hi him
himself his how however i if in indeed inside instead into is isn it its itself just keep kind know last later least left less
let like likely list little long look looking looks lot made make makes making many maybe me mean might mine more most much
must my myself name named names near nearby need never new next nice nine no nobody none nor not nothing now nowhere of off
often oh ok okay on once one only onto or other others our ours out outside over own part perhaps please point present put
question quite rather ready real really right said same saw say see seem seems seen sense several shall she should shouldn
show shown side since six so some somebody someone something sometimes somewhere soon sort still such sure take tell ten than
thank thanks that the their theirs them themselves then there these they thing things think third this those though three
through till time times to today together told tomorrow tonight too top toward towards try turn two under unless until up upon
upper us use used usual very via want was wasn way we wear wearing wears well were weren what whatever when where wherever
whether which while who whoever whole whom whose why wide with within without won wonder would wouldn yeah yes yesterday yet
you your yours yourself
"""
_SEEN = """
action actor adult afternoon air airport album alley angry animal animals apple apron arm arms artist asian attic baby
background bag bake baker baking ball balloon banana band bank bar barn baseball basket basketball bath bathroom beach bead
beads beard beautiful bed bedroom beer beige bench bend big bike bird birthday black blanket blonde blouse boat body book
books boot bottle bottom bow bowl box boys bracelet braid braids branch bread breakfast bride bridge bright broom brother
brunette brush building bun bus bush business butter button buttons cable cafe cake calm camera camp candle cap cape car card
cardigan cards carpet carry carrying cars cartoon castle cats ceiling cello center centre chain chair chairs chapel check
checked cheek cheese chef chess chicken child children chin church cigar circle city class clean climb clock close closed
closet clothes clothing clown coach coast coat coffee cold collar color colors colour colours comb computer concert cook
cooking corner costume couch country couple court cousin cow cream crowd crown cup cups curls curly curtain cut cute cycle dad
dance dancer dancing dark daughter day days deer desert desk dinner dirt dish doctor dog dogs doll door dots dream dress drink
drinking drive driver drum drums duck ear earring earrings ears eat eating edge egg elephant engine evening eye eyebrow
eyebrows eyes face faces fall family fan farm farmer fat father feather feet female fence field fight finger fire fireplace
fish fishing flag flat floor flowers fly flying food foot football fork frame freckles friend friends fringe frog fruit full
fur game games garage garden gate gentleman ghost giraffe girl girls glass glasses glove gloves goat golden golf grand
grandfather grandma grandmother grandpa grass ground group guitar gun gym hair hall hammer hand handbag hands hang harp hat
hats head headband heads heart heavy hedge hedgehog heel heels height helmet herb hero hide high hill hills hold holding holds
hole home hood hoodie hoop horn horse horses hospital hot hotel hour house houses human hut image images individual instrument
island jacket jar jeans job jog joke juggle juggling juice jump jumper jumping jungle key kid kids kitchen kite kitten knife
knit lamp lap laptop large laugh laughing lawn lay leather leaves leg legs lemon letter library lie light lights line lip lips
lipstick living logo loud low lunch machine male mall man map market mask master meal meat medal meeting men mess metal
microphone middle milk minute mirror mom money monkey month mother motorcycle mountain mountains mouse moustache mouth movie
mug mum museum music mustache nail neck necklace night noise nose note notebook number nurse object objects office old open
orange outfit oven owl page paint painter painting pale pan panda pants paper parrot party pasture path pattern pen pencil
people person persons phone photo photograph photographer photos piano pick picture pictures pie pig pigtails pillow pilot
pink pipe pizza place plaid plain plane plant plate play player playground playing plays plum plus polka pond pony ponytail
pool poor portrait pose pot potato pretty puppy purple purse rabbit race racket railway read reader reading record restaurant
ride riding ring road robe roof room rope round row rug run running runs sad sand sandals sandwich scarf scene school scissors
screen seat serious shade shape shark sheep sheet shelf ship shirt shoe shoes shop short shorts shoulder shoulders shower sign
silver sing singer singing sister sit sits sitting size skateboard sketch ski skin skirt sleep sleeping sleeve slim slow small
smile smiles smiling smoke snake sneakers soap soccer sock socks sofa soft son song soup space spectacles spoon sport sports
spot spotted square stage stairs stand standing stands statue stool stop store straight stranger straw street stripe striped
stripes student style suit surf sweater swim swimming swing table tail tall tan taxi tea teacher team teddy teeth telephone
television tennis tent theater theatre thick thin ticket tie tired toe tool tooth tower town toy train tray tree trees
triangle trousers truck trumpet trunk tshirt turquoise turtle twin twins two ugly umbrella uncle uniform vase vegetable veil
vest village violin visible visitor walk walking wall walls warm wash watching wavy week weight wet wheel wife wild wind
window windows wine woman women wool word words work working world wow wrist write writing yard year years yellow yoga zebra
zoo
"""
WORDS = frozenset(f"{_NAMES} {_SMALL} {_SEEN}".split())
_ENDED = re.compile(r"(^|[.!?…:;。！？]|[,:]\s*[\"“‘«]|\n)[\s\"'“”‘’«»„(\[¿¡*#-]*$")
_TITLE = re.compile(r"\b(Mr|Mrs|Ms|Dr|St|Prof|Miss|Sir|Lady|Aunt|Uncle)\.?\s+$")


def is_ordinary(name: str) -> bool:
    """Whether every word of `name` is in the list of ordinary words."""
    parts = re.findall(r"[^\W\d_]+", name)
    return bool(parts) and all(part.casefold() in WORDS for part in parts)


def stands_as_name(text: str, start: int, end: int) -> bool:
    """Whether `text[start:end]`, an ordinary word, is capitalised, and not only because of where it stands: at the start of
    a sentence, or where every word is."""
    if not text[start].isupper():
        return False
    if _TITLE.search(text[:start]):
        return True
    if _ENDED.search(text[:start]):
        return False
    if not any(map(str.islower, text)):
        return False
    others = [m for m in re.finditer(r"[^\W\d_]+", text) if not (start <= m.start() < end or _ENDED.search(text[: m.start()]))]
    return len(others) < 2 or any(m[0][0].islower() for m in others)

"""Varied everyday sentences from a small grammar, with disjoint vocabularies for training and evaluation."""

_SUBJECTS = "I|you|we|they|my brother|your mother|the old baker|our teacher|Peter|Maria|a friend of mine|the people upstairs|everybody|the weather man|her boss|some children|the pilot|a purple robot|the whole family|nobody".split("|")
_VERBS = "wants to buy|is looking for|never forgets|has been thinking about|brought|will probably make|should move|put away|might break|keeps talking about|really loves|found|left behind|is paying for|gave me|would rather have|remembers|is afraid of|borrowed|already washed".split("|")
_OBJECTS = "a warm cup of coffee|the blue umbrella|five or six apples|that big black piano|a pair of shoes|some bread and butter|the broken bicycle|the map of Europe|a very long story|my favourite film|the most beautiful picture|two bottles of water|the newspaper|a small wooden boat|his phone number|the keys to the house|your birthday cake|an empty box|the evening train|a new computer".split("|")
_PLACES = "in the garden|before breakfast|at the end of the month|on the way home|near the river|because of the rain|for the first time|without a reason|with both hands|every other Sunday|as soon as possible|in front of the museum|under the bridge|from time to time|over the summer|while it was snowing|after the match|by mistake|at about half past seven|up on the roof".split("|")
_OPENERS = "Well, |Okay. |To be honest, |Yes, and |Hmm, |No! |Listen, |Oh, |By the way, |Maybe |Of course. |Imagine this: |Wow, |So, |Sorry, ||||||".split("|")
_PHRASES = "How are you today?|Nice to meet you.|Could you say that again, please?|What time is it?|I don't know what you mean.|That sounds wonderful.|Let me think about it for a moment.|Thank you very much for your help.|See you tomorrow, bye bye!|I'm happy to hear from you.|Where did you go last week?|It depends on the price.|Please tell me more about yourself.|Why not?|That's a good question.|Here is what I found.|Step by step, we will get there.|Once upon a time there was a king.|One, two, three, four, five, six, seven, eight, nine, ten.|The answer is forty two point five percent.|You are absolutely right.|Peter Piper picked a peck of pickled peppers.|She sells sea shells by the sea shore.|How much wood would a woodchuck chuck?|Moo, boo, who knew?|Ma, pa, baba, mama, papa.|Absolutely amazing!|Wait, what?|Oh my goodness.|Good morning, everyone.".split("|")
_TEST_SUBJECTS = "the doctor|our neighbour|Julia|all of us|the captain|young people|this machine|my grandfather".split("|")
_TEST_VERBS = "is waiting for|could not open|carefully explained|dropped|does not believe in|has just sold|wanted to show us|painted".split("|")
_TEST_OBJECTS = "a heavy suitcase|the answer to this problem|the yellow submarine|three bags of potatoes|the village church|a spoonful of honey|the football team|an important message".split("|")
_TEST_PLACES = "at the airport|just before midnight|behind the school|with a smile|in the middle of winter|for no good reason|on the phone|above the shop".split("|")
_TEST_PHRASES = "I am here to help you with that.|Would you like some tea?|My name is Emma, what is yours?|We should meet more often.|Have a good weekend, everybody.|The bus is late again.|Time flies when you are having fun.|Both of them live abroad.".split("|")
_FOREIGN = {
    "fr": "Bonjour, comment allez vous ?|Je voudrais un peu de pain et de beurre.|Nous habitons une belle maison bleue.|Il pleut beaucoup depuis ce matin.|Merci beaucoup, au revoir.".split("|"),
    "de": "Guten Tag, wie geht es Ihnen?|Ich möchte bitte einen Kaffee und ein Stück Kuchen.|Morgen fahren wir mit dem Zug nach Hamburg.|Das Wetter ist heute wunderbar.|Vielen Dank für Ihre Hilfe.".split("|"),
    "es": "Buenos días, ¿cómo está usted?|Me gustaría comprar una botella de agua.|Mañana vamos a la playa con mis amigos.|No sé dónde está mi teléfono.|Muchas gracias por todo.".split("|"),
    "it": "Buongiorno, come va oggi?|Vorrei una pizza e un bicchiere di vino.|Domani partiamo per le vacanze.|La mia famiglia abita in campagna.|Grazie mille, a presto.".split("|"),
    "pt": "Bom dia, tudo bem com você?|Eu gostaria de um café, por favor.|Amanhã vamos viajar de ônibus.|Minha mãe mora perto do mar.".split("|"),
    "nl": "Goedemorgen, hoe gaat het met u?|Ik wil graag een kopje koffie.|Morgen gaan we naar het museum.|Mijn broer woont in een groot huis.".split("|"),
    "sv": "God morgon, hur mår du?|Jag vill gärna ha en kopp kaffe.|Imorgon åker vi till stranden.".split("|"),
    "pl": "Dzień dobry, jak się masz?|Poproszę butelkę wody i chleb.|Jutro pojedziemy nad morze.".split("|"),
}
LANGUAGES = tuple(_FOREIGN)


def sentence(rng, split="train", language="en"):
    """One sentence. split 'test' draws only words and phrases that 'train' never uses; other languages exist in 'train'."""
    if language != "en":
        return _pick(rng, _FOREIGN[language])
    test = split == "test"
    if rng.random() < 0.25:
        return _pick(rng, _TEST_PHRASES if test else _PHRASES)
    subject = _pick(rng, _TEST_SUBJECTS if test else _SUBJECTS)
    parts = [subject, _pick(rng, _TEST_VERBS if test else _VERBS), _pick(rng, _TEST_OBJECTS if test else _OBJECTS)]
    if rng.random() < 0.6:
        parts.append(_pick(rng, _TEST_PLACES if test else _PLACES))
    opener = "" if test else _pick(rng, _OPENERS)
    return opener + " ".join(parts) + ("?" if rng.random() < 0.15 else ".")


def _pick(rng, items):
    return items[int(rng.integers(len(items)))]

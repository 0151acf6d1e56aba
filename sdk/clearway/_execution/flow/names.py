"""Names of runs that people can tell apart and say aloud."""

from __future__ import annotations

import random

_ADJECTIVES = (
    "able agile alert amber ample arctic azure bold brave breezy brief bright brisk calm candid cheery "
    "chilly civil clean clear clever coral cosmic cosy crimson crisp curious daring dapper deft eager "
    "early earnest easy elated fair fancy fleet fluent fond frank free fresh frosty gentle glad golden "
    "grand green happy hardy hazel honest humble indigo ivory jolly keen kind lively loyal lucid lucky "
    "lunar mellow merry mighty mild modest neat nimble noble olive open patient placid plucky polite "
    "proud prudent quick quiet rapid ready rosy rustic sage scarlet serene sharp silent silver sleek "
    "smooth snowy solar solid speedy spry steady sterling still stout sturdy subtle sunny sure swift "
    "tactful tawny teal thrifty tidy topaz tranquil true upbeat urban valiant velvet verdant vivid warm "
    "wary whole wise witty young zesty"
)
_ANIMALS = (
    "albatross alpaca ant antelope auk avocet badger barracuda bat bear beaver bee beetle bison boar "
    "bobcat bonobo buffalo bunting buzzard camel capybara caracal caribou cat chameleon cheetah "
    "chinchilla civet cobra condor coot coyote crab crane cricket crow curlew deer dingo dolphin donkey "
    "dormouse dove dragonfly duck eagle eel egret eland elephant elk emu ermine falcon ferret finch "
    "flamingo fox frog gannet gazelle gecko gibbon giraffe gnu goat goose gorilla grebe grouse gull "
    "hamster hare hawk hedgehog heron hippo hoopoe hornet horse hyena ibex ibis iguana impala jackal "
    "jackdaw jaguar jay kestrel kingfisher kiwi koala kudu lapwing lark lemming lemur leopard lion lizard "
    "llama lobster loon lynx macaw magpie mallard manatee marmot marten meerkat merlin mink mole mongoose "
    "moose moth mouse narwhal newt ocelot octopus okapi opossum orca oriole oryx osprey otter owl ox "
    "panda panther parrot pelican penguin pheasant pika plover polecat pony porcupine puffin puma quail "
    "quokka rabbit raccoon raven reindeer robin rook salmon sandpiper seal serval shrew skunk skylark "
    "sloth snail snipe sparrow squid squirrel stag starling stoat stork swallow swan swift tapir tern "
    "thrush tiger toad toucan trout turtle viper vole wallaby walrus warbler weasel whale wolf wombat "
    "wren yak zebra"
)
_WORDS = (_ADJECTIVES.split(), _ANIMALS.split())


def run_name() -> str:
    """Return a name of two words, such as ``brisk-otter``. Names may repeat; ids do not."""
    return "-".join(random.choice(words) for words in _WORDS)  # noqa: S311 - names are not secret

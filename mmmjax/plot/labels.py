"""Words of pictures: those of the house."""

from mmmjax.words import ALL as ALL
from mmmjax.words import Return as Return
from mmmjax.words import amount as amount
from mmmjax.words import amounts as amounts
from mmmjax.words import capital as capital
from mmmjax.words import decimals as decimals
from mmmjax.words import estimate as estimate
from mmmjax.words import for_geo as for_geo
from mmmjax.words import in_percent as in_percent
from mmmjax.words import large as large
from mmmjax.words import period_noun as period_noun
from mmmjax.words import shorten as shorten
from mmmjax.words import span as span
from mmmjax.words import with_unit as with_unit

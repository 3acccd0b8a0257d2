"""How long a search for counterexamples takes: `pytest --hypothesis-profile=long` searches longer (`make fuzz`)."""

from hypothesis import HealthCheck, Phase, settings

_COMMON = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    "phases": (Phase.explicit, Phase.reuse, Phase.generate),  # examples take a second: none is made smaller
}
settings.register_profile("quick", max_examples=10, derandomize=True, **_COMMON)
settings.register_profile("long", max_examples=200, print_blob=True, **_COMMON)
settings.load_profile("quick")

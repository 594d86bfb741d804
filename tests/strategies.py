E
rm -f tests/strategies.py
ls tests/synth/__init__.py tests/__init__.py 2>&1; head -30 tests/synth/test_draws.py

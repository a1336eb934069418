# make demo    set up, then the sample slide with its result in the viewer (or in a folder, without a display)
# make test    set up, then every check and every test, windows included
# Both install into .venv and leave the rest of the machine alone, but for Debian packages as root.

.PHONY: demo test clean

demo:
	@tools/set-up demo
	@.venv/bin/maskvit demo -o .demo

test:
	@tools/set-up test
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy src hatch_build.py $(wildcard training/src)
	tools/on-a-screen .venv/bin/pytest -n 2 --dist loadfile --max-worker-restart 0 --windows-required $(TESTS)

clean:
	rm -rf .venv .demo dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks

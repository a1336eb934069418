"""A recipe is wrong before anything starts, or right."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from maskvit_training.errors import RecipeError
from maskvit_training.recipe import load_recipe, make_recipe, save_recipe

RECIPES = Path(__file__).parents[2] / "training/recipes"


def put(tree: dict, **sections: dict) -> dict:
    return tree | {name: tree.get(name, {}) | values for name, values in sections.items()}


@pytest.mark.parametrize(
    ("sections", "named"),
    [
        ({"optimiser": {"learning_rate": -1}}, "optimiser.learning_rate"),
        ({"optimiser": {"lerning_rate": 1}}, "optimiser.lerning_rate"),
        ({"masking": {"levels": ["token"]}}, "masking.levels.0"),
        ({"masking": {"threshold": 1.0}}, "masking.threshold"),
        ({"splits": {"folds": 2}}, "splits.folds"),
        ({"task": {"classes": ["a"]}}, "at least two classes"),
        ({"task": {"classes": ["a", "a"]}}, "same name"),
        ({"task": {"kind": "survival"}}, "survival has no classes"),
        ({"task": {"class_weights": True}}, "classification only"),
    ],
)
def test_a_wrong_field_is_named(tree: dict, tmp_path: Path, sections: dict, named: str):
    with pytest.raises(RecipeError, match=named.replace(".", r"\.")):
        make_recipe(put(tree, **sections), tmp_path)


def test_every_wrong_field_is_named_at_once(tree: dict, tmp_path: Path):
    with pytest.raises(RecipeError) as caught:
        make_recipe(put(tree, optimiser={"epochs": 0}, splits={"folds": 1}), tmp_path)
    assert "optimiser.epochs" in str(caught.value)
    assert "splits.folds" in str(caught.value)


def test_the_command_line_wins_over_the_file(tree: dict, tmp_path: Path):
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(tree))
    recipe = load_recipe(path, ["optimiser.epochs=3", "masking.levels=[]", "data.root=/slides"])
    assert recipe.optimiser.epochs == 3
    assert recipe.masking.levels == ()
    assert recipe.data.root == Path("/slides")
    assert recipe.output == tmp_path / "run"


@pytest.mark.parametrize("override", ["optimiser.epochs", "name.first=1", "a=[", "=1"])
def test_a_wrong_override_is_an_error(tree: dict, tmp_path: Path, override: str):
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(tree))
    with pytest.raises(RecipeError):
        load_recipe(path, [override])


@pytest.mark.parametrize("text", ["", "- 1", "a: ["])
def test_a_file_that_is_no_recipe_is_an_error(tmp_path: Path, text: str):
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError):
        load_recipe(path)


def test_saved_and_read_again_it_is_the_same(tree: dict, tmp_path: Path):
    recipe = make_recipe(tree, tmp_path)
    save_recipe(recipe, tmp_path / "saved.yaml")
    assert load_recipe(tmp_path / "saved.yaml") == recipe


def test_the_digest_knows_what_training_depends_on(tree: dict, tmp_path: Path):
    recipe = make_recipe(tree, tmp_path)
    assert recipe.digest() == make_recipe(tree | {"output": "other"}, tmp_path).digest()
    assert recipe.digest() != make_recipe(tree | {"seed": 1}, tmp_path).digest()


def test_a_run_goes_on_where_it_was_moved_to(tree: dict, tmp_path: Path):
    digests = set()
    for name in ("here", "there"):
        (tmp_path / name / "encoder").mkdir(parents=True)
        moved = tree | {"encoder": {"model": "encoder"}}
        digests.add(make_recipe(moved, tmp_path / name).digest())
    assert len(digests) == 1


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_recipes_that_come_along_are_valid(path: Path):
    assert load_recipe(path).name

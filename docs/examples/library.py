"""The core without any service: embed, choose what to label, train on that, evaluate."""

import ot3l_core.library as ot3l

backbone = ot3l.load_backbone("efficientnet_lite0", input_size=32)
digits = ot3l.embed_dataset("digits", backbone)  # or Path("flowers"), a folder of your own
settings = ot3l.SelectionSettings(ot3l.Strategy.COVERAGE, budget=100)  # reads no label
chosen = digits.pool.take(ot3l.select(digits.pool, settings=settings, seed=0).indices)
trained = ot3l.train_head(chosen.features, chosen.labels, n_classes=10, settings=ot3l.TrainingSettings(), seed=0)
found = ot3l.evaluate(trained.head.probabilities(digits.test.features), digits.test.labels)
print(f"{found.accuracy:.1%} of {found.n} test images are right, from {len(chosen)} labels")

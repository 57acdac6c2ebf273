"""Your own training loop: tunecli only requires that it calls `report`.

`fold` has the training and validation tensors of one fold, its seed and device, and folders for
checkpoints and for the model. Report a step before you save its checkpoint: a reported step is
never requested again, so a killed search resumes after it. `report` returns True if the step is
the best so far: then save the model in `fold.keep`, where `predict` finds it.
"""

import torch
from torch import nn


def network(n_features, width, n_classes):
    """Build the network that `fit` trains and `load_network` loads."""
    return nn.Sequential(
        nn.Flatten(), nn.Linear(n_features, width), nn.ReLU(), nn.Linear(width, n_classes)
    )


def fit(config, fold, report):
    """Train a small network on one fold of one trial."""
    torch.manual_seed(fold.seed)
    shape = (fold.x_train[0].numel(), config["width"], fold.n_classes)
    model = network(*shape).to(fold.device)
    optimizer = torch.optim.SGD(model.parameters(), lr=config["lr"], momentum=0.9)
    first = load(fold, model, optimizer)
    for epoch in range(first, config["epochs"]):
        generator = torch.Generator().manual_seed(fold.seed % 2**32 + epoch)
        for rows in torch.randperm(len(fold.x_train), generator=generator).split(64):
            loss = nn.functional.cross_entropy(model(fold.x_train[rows]), fold.y_train[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            hits = model(fold.x_valid).argmax(1) == fold.y_valid
        is_best = report({"accuracy": hits.float().mean(), "train_loss": loss}, step=epoch)
        if is_best:
            torch.save({"shape": shape, "weights": model.state_dict()}, fold.keep / "model.pt")
        save(fold, model, optimizer, epoch)


def load_network(folder):
    """Return the trained network with probabilities as its outputs; `tunecli export` writes it."""
    saved = torch.load(folder / "model.pt", weights_only=True, map_location="cpu")
    model = network(*saved["shape"])
    model.load_state_dict(saved["weights"])
    return nn.Sequential(model, nn.Softmax(1))


def predict(folder, x):
    """Return the probabilities of the classes for preprocessed rows."""
    with torch.no_grad():
        return load_network(folder).to(x.device)(x)


def save(fold, model, optimizer, epoch):
    """Save a checkpoint; renaming keeps `last.pt` complete at any time."""
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": epoch}
    torch.save(state, fold.checkpoints / "new.pt")
    (fold.checkpoints / "new.pt").replace(fold.checkpoints / "last.pt")


def load(fold, model, optimizer):
    """Load the checkpoint, if any; return the epoch to resume with."""
    file = fold.checkpoints / "last.pt"
    if not file.exists():
        return 0
    state = torch.load(file, weights_only=True)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return state["epoch"] + 1

"""Fine-tuning the last layers of a network from torchvision, as a generator.

The weights are random here, so that nothing is downloaded; `weights="DEFAULT"` loads pretrained
ones.
"""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from torchvision import models


def fit(config, fold):
    """Train the last layers of one fold; yield the accuracy after each epoch."""
    torch.manual_seed(fold.seed)
    model = models.shufflenet_v2_x0_5(weights=None, num_classes=fold.n_classes).to(fold.device)
    parts = [model.conv1, model.stage2, model.stage3, model.stage4, model.conv5]
    for part in parts[: -config["parts"]]:
        part.requires_grad_(False)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=config["lr"])
    loader = DataLoader(TensorDataset(fold.x_train, fold.y_train), batch_size=64, shuffle=True)
    for _ in range(config["epochs"]):
        model.train()
        for x, y in loader:
            loss = nn.functional.cross_entropy(model(as_pictures(x)), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            hits = model(as_pictures(fold.x_valid)).argmax(1) == fold.y_valid
        yield {"accuracy": hits.float().mean(), "train_loss": loss}


def as_pictures(x):
    """Return pictures of 3 × 32 × 32, since the network halves their size five times."""
    return nn.functional.interpolate(x, size=32).expand(-1, 3, -1, -1)

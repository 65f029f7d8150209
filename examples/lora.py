"""A model that was trained before, adapted by low-rank matrices (LoRA, through peft): only they are trained."""

import peft
import torch
import transformers
from torch import Tensor

import gammatune

torch.manual_seed(0)
torch.set_num_threads(1)

# As small as it can be and of random weights, so that nothing is downloaded; yours comes `from_pretrained`.
sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
config = transformers.BertConfig(vocab_size=32, **sizes)
base = transformers.BertForSequenceClassification(config)
matrices = peft.LoraConfig(task_type="SEQ_CLS", r=4, lora_alpha=8, target_modules=["query", "value"])
model = peft.get_peft_model(base, matrices)
optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-3)

rows = torch.randint(2, 32, (600, 8))
labels = (rows[:, 0] < rows[:, 1]).long()  # of two words the first comes first in the alphabet
loader = [(rows[i : i + 25], labels[i : i + 25]) for i in range(0, 500, 25)]


def said(x: Tensor, y: Tensor) -> transformers.modeling_outputs.SequenceClassifierOutput:
    return model(input_ids=x, labels=y)


def validate() -> dict[str, float]:
    output = said(rows[500:], labels[500:])
    right = output.logits.argmax(1) == labels[500:]
    return {"accuracy": right.float().mean().item(), "loss": output.loss.item()}


with gammatune.Tuner(model=model, optimizer=optimizer, epochs=6) as tuner:
    for run in tuner:
        model.train()
        for x, y in run.batches(loader):
            optimizer.zero_grad()
            said(x, y).loss.backward()
            optimizer.step()
        run.report(**run.evaluate(validate))

for outcome in tuner.result.course:
    print(
        f"epoch {outcome.epoch + 1}: lr {outcome.values['lr']:.3g}, accuracy {outcome.metrics['accuracy']:.3f}"
    )
print(tuner.result.cost)

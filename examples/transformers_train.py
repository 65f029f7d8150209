"""Transformers: `trainer.train`, with the learning rate found on the way (pip install 'gammatune[transformers]').

A small BERT, from scratch, reads eight words and says whether "good" is among them.
"""

import os

os.environ["HF_HUB_OFFLINE"] = "1"  # nothing is downloaded

import torch
import transformers
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments

from gammatune.integrations.transformers import train

torch.set_num_threads(1)
transformers.set_seed(0)
GOOD = 1
words = torch.randint(1, 12, (2400, 8))
labels = (words == GOOD).any(1).long()
rows = [{"input_ids": w, "labels": y} for w, y in zip(words, labels, strict=True)]

config = BertConfig(
    vocab_size=12,
    hidden_size=32,
    num_hidden_layers=1,
    num_attention_heads=2,
    intermediate_size=64,
    max_position_embeddings=8,
    initializer_range=0.2,  # large, since nothing is pretrained
)
trainer = Trainer(
    BertForSequenceClassification(config),
    TrainingArguments(
        "trained",
        num_train_epochs=4,
        per_device_train_batch_size=16,
        learning_rate=5e-5,  # searched around it
        eval_strategy="epoch",
        save_strategy="no",
        logging_strategy="epoch",
        report_to=[],
        disable_tqdm=True,
        use_cpu=True,
    ),
    train_dataset=rows[:1600],
    eval_dataset=rows[1600:2000],
    compute_metrics=lambda said: {"accuracy": float((said.predictions.argmax(1) == said.label_ids).mean())},
)
trainer.remove_callback(transformers.PrinterCallback)
result = train(trainer)

print(result.verdicts[0].reason)
for told in trainer.state.log_history:
    if "eval_loss" in told:
        print(
            f"epoch {told['epoch']:.0f}: loss {told['eval_loss']:.3f}, accuracy {told['eval_accuracy']:.3f}"
        )
measured = trainer.evaluate(rows[2000:])
print(f"on data it never saw: {measured['eval_accuracy']:.3f}, at {result.cost}")

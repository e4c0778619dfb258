"""The ranking losses in PyTorch, eager: each function is one loss with its gradients."""

import torch


def mann_whitney(pos, neg, temperature=1.0):
    """Mean softplus of all differences: the value, and the gradients of both sides."""
    pos, neg = pos.detach().requires_grad_(), neg.detach().requires_grad_()
    pairs = (neg[None, :] - pos[:, None]) / temperature
    loss = torch.nn.functional.softplus(pairs).mean()
    return loss.detach(), *torch.autograd.grad(loss, (pos, neg))


def plackett_luce(student, teacher, labels, temperature=1.0):
    """The label first, then the teacher's order; weights are the teacher's probabilities. Value and student's gradient."""
    student = student.detach().requires_grad_()
    with torch.no_grad():
        keys = teacher.scatter(1, labels[:, None], float("inf"))
        order = torch.sort(keys, dim=1, descending=True, stable=True).indices
        weights = torch.softmax(teacher / temperature, dim=1).gather(1, order)
    ranked = student.gather(1, order)
    suffix = torch.logcumsumexp(ranked.flip(1), dim=1).flip(1)
    loss = (weights * (suffix - ranked)).sum(1).mean()
    return loss.detach(), *torch.autograd.grad(loss, student)

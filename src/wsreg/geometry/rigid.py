import torch
from torch import Tensor
def skew(v):
    x,y,z=v.unbind(-1); o=torch.zeros_like(x)
    return torch.stack((torch.stack((o,-z,y),-1),torch.stack((z,o,-x),-1),torch.stack((-y,x,o),-1)),-2)
def transform_points(T,p): return p@T[...,:3,:3].transpose(-1,-2)+T[...,None,:3,3]
def exp_so3(w):
    t2=(w*w).sum(-1)[...,None,None]; K=skew(w)
    small=t2<1e-6
    s=torch.where(small,torch.ones_like(t2),t2); t=s.sqrt()
    A=torch.where(small,1-t2/6+t2*t2/120,t.sin()/t); B=torch.where(small,.5-t2/24+t2*t2/720,(1-t.cos())/s)
    return torch.eye(3,dtype=w.dtype,device=w.device)+A*K+B*(K@K)
def perturb(T,xi,pivot):
    R=exp_so3(xi[...,:3]); c=transform_points(T,pivot[None])[...,0,:]
    t=(R@(T[...,:3,3]-c)[...,None])[...,0]+c+xi[...,3:]
    top=torch.cat((R@T[...,:3,:3],t[...,None]),-1)
    return torch.cat((top,T[...,3:,:]),-2)

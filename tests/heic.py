"""A picture file of a format that no library here writes (HEIF, ISO/IEC 23008-12, HEVC inside)."""

from __future__ import annotations

import base64
import struct

# Two pictures, 460 x 130: "Drivers report at gate two,\nthen the next lorry is called." and
# "And a second picture.", black on white.
PACKED = (
    r"0000SW^{RQXk}@500000ZE0pPXk}@5ZE0a<0004hZDn*}000000000XXk=`10000000000aA{+70000000000000"
    r"0000000G-"
    r"+&aV*mgE07O6l0ssL300001qW}Q_0000000Yqg0ssI200nda0RR9100001<p2NxIB98aW&i*H00062000$fZf0cy"
    r"000000RRAKc4ILB0000LX>Mj^0ssI200IC2Xm(>U000004sdC7Z2$lO00031007u&aB^?}006RSaAR)(004Dpc4I"
    r">U1PA~C0H62(0000y@BsY$`1k+-"
    r"4+CHT0RR_30Sp2E{{#pC00RJ@_y7O{002C?0zhE^0RSmN0RaRE00093pZEX(0{{R#z&aoza?h6PNhz*u2mk;B0LT"
    r"CU0{{p>VgLaE2SfqEa<F1R0000JV{dG7ZewhC0096E00w{n000zeb8uw<0000000GPZ004pj000hfX?SS>000012"
    r"mk;89%*oGVE_OC000000ssL7fdT^r00IPo0s{m900q8nWMOmw00Ye^0j>xvPrHk4fB*T0krJ0p>dbt}>TVg99PoI"
    r"WF$oG9jArHv?nQjQDK)4mLy@lWxRy@LQAClzLZ8Y1yg7mV6&~X=u2P%~+_5-"
    r"jP)*a`tr%f!Ev6C%Cnf?n@hFWDN!Q|&3b22~=-"
    r"M@<mWQ+EIgAxL+{)pnNT6lN9~|5ZBK;l5pliuG;^x!Qu^LlA0+W5gtHgm)R@byyqh!wzq@;2iNOXVWZUjn>$~~{s"
    r"bp#w^8wQx}<}2*fu37p7%jf}K3aD63w!%%S{=+*0H~>yVFN76m+^b*FIq?YMGETd_ZIJ|};=yBn`f?Y6@G;&%w`C"
    r"2A>mo^S*xs4%fHdaMrsc-TR|CSvONLZtHl#}ojEm0M@UGhAh41cXsDThc3aV<@u4GQXTB1x9wYmIYC{k4nQf0fMo"
    r"T(S}l5*Rdu#UlpM4bD+ZZSYR<B+0|_ruDsQ44B`?$LCfq)|MRs$a@6!5Tb#*qWtQA0FRUe>=&<h%QG>M__-rS;@{"
    r"M7BLJb_c8?lyHnMCpJ&He>aLbHF!p6=%H=9WqwP)E5PtqazVL{o0(P*dW0H^8TE63I8g!8buh(mz5E-"
    r"(JR5^@HWGajrl&x&MmH72xQAK+NUoS10?l%KT?4D6X$eLuKV=*sl&u3=XStq~%=zyYw@7gqgmi-D-"
    r"H)7LV9@$tqM~g*To^KkO0QQl2poZHJPa}{$J<b;?<3Vf=XEE240t;TTp{>qbT8!(>)`jo3>!tNc`mLr6nx>zdX3l"
    r"gfuvXZO1^CZDK&aUe#){-h;I9cf-"
    r"Q}Hso%bLj>8Fs=rZOV;8#<}naUm}4r=RpqbB1<x^`25n?CwT?CztS{38>tO6v&MGAnGuK_6e#f>J`kY-Tmjy_@cq"
    r"E%zpMmXat$L8nt9FV&5?BtY(2g;urcx!<#X4M)W5#(b=Krq8!IB9U0InmqY$@!_~HANwI(}>jiHhCMtu=+-"
    r"MN9IU25~u0TGktpL>)0;<QB+6K5o1qQ>?qLB*eaLWc0N?D`7rDK}S5y7f4ZPOb0oypv}vWR<*LrAO#JZh7CT!EWQ"
    r"EjX{?+RNN&UjYecwFP3-"
    r"mxA6y6_2(OO5IyWG)HpL`MFZt|KAx3wY*hzj}sKFSjfY0|Npgyj+eWW48>#zWNd|@(JSpfWy8Ta3iFXIdEtF(+h6"
    r"4`!@mf^3GHMgkL0v}^iy@%^-"
    r"fC^49I~oN*hl;BaR_E;i0ET{hNpC){1bHHznZU6TRH9003P;lK=&11qc8D0{{R6005_e0005uC;_erEKckjZGZpy"
    r"hLIANP3p{i$~k@HjpdH`)1L(03$5EsU$0mSkKSZy?^jWXLdvos2|w<33st=kDcx>Uc)Z;R_l?im<=vla5#SX_UyC"
    r"7@D#_-t^k6At1iw<&vp|F`gWHlH84<R+bH);?cHFZ%u*ZM?)%(`KltH-"
    r"&X_dRrwT^XVU2Fr^Mnq4HpAMl+vGfnlMnuD%W;Z!xn{xNSE$JDktE^!CaGa}Md1ldlJM%`qJL5#InhijRVPqV_N^"
    r"ljXO7}~5TXD-y{Niqdm%9k<PXJ?p3>0Y2H3n9GmfjSe&-OiEOy79wAw8@PhbJ!!ia>ZnnrP&Ht|#k3%TeM-"
    r"Z+RHt<^P77E91zcmHb-{%&xr91;{87nhALpQp@xL*aqsLq3!Rg8(0LbI3}FHDa0axPHbs*T)+2g6}uB-M~QKgS_-"
    r"WRT(pcftZ@JpI?SrsG?P6AalG$FPnU+DvTSBiOd-~wOgsSg-"
    r"Z%n{WdEgrxTT9aD{01OahqVkq4TpoLKpi=@?6<zr||ZI>ocO@gKlZ+-"
    r"j#aa+6Vki3r!5KliHj@R~V;lI@^maP_k<n9hq-#OaLyR+4_TpX@G@A9smFX0$!5<4xkl)0009300RI9+y"
)


def heic() -> bytes:
    return base64.b85decode(PACKED)


def heic_claiming(width: int, height: int) -> bytes:
    """With another size for all of its pictures than they have."""
    data = bytearray(heic())
    at = data.find(b"ispe")
    while at >= 0:
        struct.pack_into(">LL", data, at + 8, width, height)
        at = data.find(b"ispe", at + 4)
    return bytes(data)

typedef float T;
typedef int I;
typedef unsigned int U;
constexpr int TILE = 128;
constexpr int STRIP = 32;
constexpr int WIDE_THREADS = 512;
constexpr int COLUMNS = 32;
constexpr int EXAMPLES = 4;
constexpr int OWN = 0;
constexpr int OUTPUTS = 0;
constexpr int STATE = 64;
constexpr int NUMBERS = 2;
constexpr int SUMS = 32;
constexpr int RESULTS = 64;
extern __shared__ T scratch[];  // of a tile: in strips, each row of a strip 32 examples side by side
static __device__ __forceinline__ I to_bits(T x) { return __float_as_int(x); }
static __device__ __forceinline__ T from_bits(I x) { return __int_as_float(x); }
static __device__ __forceinline__ T add(T x, T y) { return __fadd_rn(x, y); }

static __device__ __forceinline__ void tile(const T* examples, const T* own, T* outputs, const T* state, const T* numbers, T* sums, int left) {
    const int strip = threadIdx.x / 32, j = threadIdx.x % 32, lane = threadIdx.x % 16;
    const int strips = (left + 31) / 32;
    // The halves of a warp have numbers far apart: where their blocks differ, one waits for the other.
    const int half = strip + threadIdx.x / 16 % 2 * 4;
    const unsigned mask = 0xffffu << j / 16 * 16;  // only this half-warp's lanes
    if (strip < strips) {
        const bool here = strip * 32 + j < left;  // missing examples leave zeros in whole strips
        const T v1 = examples[strip * 128 + j];
        const T v2 = state[0];
        const T v3 = __fmul_rn(v2, v1);
        const T v4 = state[3];
        const T v5 = __fmul_rn(v4, v1);
        const T v6 = state[6];
        const T v7 = __fmul_rn(v6, v1);
        const T v8 = state[9];
        const T v9 = __fmul_rn(v8, v1);
        T v10 = v3;
        T v11 = v5;
        T v12 = v7;
        T v13 = v9;
        for (int k14 = 1; k14 < 3; k14 += 1) {
            const T v15 = examples[strip * 128 + k14 * 32 + j];
            const T v16 = state[k14];
            const T v17 = __fmaf_rn(v16, v15, v10);
            v10 = v17;
            const T v18 = state[k14 + 3];
            const T v19 = __fmaf_rn(v18, v15, v11);
            v11 = v19;
            const T v20 = state[k14 + 6];
            const T v21 = __fmaf_rn(v20, v15, v12);
            v12 = v21;
            const T v22 = state[k14 + 9];
            const T v23 = __fmaf_rn(v22, v15, v13);
            v13 = v23;
        }
        const T v24 = state[16];
        const T v25 = state[17];
        const T v26 = state[18];
        const T v27 = state[19];
        const T v28 = __fadd_rn(v10, v24);
        const T v29 = __fadd_rn(v11, v25);
        const T v30 = __fadd_rn(v12, v26);
        const T v31 = __fadd_rn(v13, v27);
        const T v32 = -(v28);
        const T v33 = -(v29);
        const T v34 = -(v30);
        const T v35 = -(v31);
        const bool v36 = v32 < -0x1.5d58a00000000p+6f;
        const bool v37 = v33 < -0x1.5d58a00000000p+6f;
        const bool v38 = v34 < -0x1.5d58a00000000p+6f;
        const bool v39 = v35 < -0x1.5d58a00000000p+6f;
        const T v40 = v36 ? -0x1.5d58a00000000p+6f : v32;
        const T v41 = v37 ? -0x1.5d58a00000000p+6f : v33;
        const T v42 = v38 ? -0x1.5d58a00000000p+6f : v34;
        const T v43 = v39 ? -0x1.5d58a00000000p+6f : v35;
        const bool v44 = 0x1.6400000000000p+6f < v40;
        const bool v45 = 0x1.6400000000000p+6f < v41;
        const bool v46 = 0x1.6400000000000p+6f < v42;
        const bool v47 = 0x1.6400000000000p+6f < v43;
        const T v48 = v44 ? 0x1.6400000000000p+6f : v40;
        const T v49 = v45 ? 0x1.6400000000000p+6f : v41;
        const T v50 = v46 ? 0x1.6400000000000p+6f : v42;
        const T v51 = v47 ? 0x1.6400000000000p+6f : v43;
        const T v52 = __fmaf_rn(v48, 0x1.7154760000000p+0f, 0x1.8000fc0000000p+23f);
        const T v53 = __fmaf_rn(v49, 0x1.7154760000000p+0f, 0x1.8000fc0000000p+23f);
        const T v54 = __fmaf_rn(v50, 0x1.7154760000000p+0f, 0x1.8000fc0000000p+23f);
        const T v55 = __fmaf_rn(v51, 0x1.7154760000000p+0f, 0x1.8000fc0000000p+23f);
        const T v56 = __fsub_rn(v52, 0x1.8000fc0000000p+23f);
        const T v57 = __fsub_rn(v53, 0x1.8000fc0000000p+23f);
        const T v58 = __fsub_rn(v54, 0x1.8000fc0000000p+23f);
        const T v59 = __fsub_rn(v55, 0x1.8000fc0000000p+23f);
        const T v60 = __fmaf_rn(v56, -0x1.62e4000000000p-1f, v48);
        const T v61 = __fmaf_rn(v57, -0x1.62e4000000000p-1f, v49);
        const T v62 = __fmaf_rn(v58, -0x1.62e4000000000p-1f, v50);
        const T v63 = __fmaf_rn(v59, -0x1.62e4000000000p-1f, v51);
        const T v64 = __fmaf_rn(v56, -0x1.7f7d1c0000000p-20f, v60);
        const T v65 = __fmaf_rn(v57, -0x1.7f7d1c0000000p-20f, v61);
        const T v66 = __fmaf_rn(v58, -0x1.7f7d1c0000000p-20f, v62);
        const T v67 = __fmaf_rn(v59, -0x1.7f7d1c0000000p-20f, v63);
        const T v68 = __fmaf_rn(0x1.709ba00000000p-9f, v64, 0x1.1290520000000p-6f);
        const T v69 = __fmaf_rn(0x1.709ba00000000p-9f, v65, 0x1.1290520000000p-6f);
        const T v70 = __fmaf_rn(0x1.709ba00000000p-9f, v66, 0x1.1290520000000p-6f);
        const T v71 = __fmaf_rn(0x1.709ba00000000p-9f, v67, 0x1.1290520000000p-6f);
        const T v72 = __fmaf_rn(v68, v64, 0x1.55515e0000000p-4f);
        const T v73 = __fmaf_rn(v69, v65, 0x1.55515e0000000p-4f);
        const T v74 = __fmaf_rn(v70, v66, 0x1.55515e0000000p-4f);
        const T v75 = __fmaf_rn(v71, v67, 0x1.55515e0000000p-4f);
        const T v76 = __fmaf_rn(v72, v64, 0x1.5553c00000000p-2f);
        const T v77 = __fmaf_rn(v73, v65, 0x1.5553c00000000p-2f);
        const T v78 = __fmaf_rn(v74, v66, 0x1.5553c00000000p-2f);
        const T v79 = __fmaf_rn(v75, v67, 0x1.5553c00000000p-2f);
        const T v80 = __fmaf_rn(v76, v64, 0x1.0000020000000p+0f);
        const T v81 = __fmaf_rn(v77, v65, 0x1.0000020000000p+0f);
        const T v82 = __fmaf_rn(v78, v66, 0x1.0000020000000p+0f);
        const T v83 = __fmaf_rn(v79, v67, 0x1.0000020000000p+0f);
        const T v84 = __fmaf_rn(v80, v64, 0x1.0000000000000p+1f);
        const T v85 = __fmaf_rn(v81, v65, 0x1.0000000000000p+1f);
        const T v86 = __fmaf_rn(v82, v66, 0x1.0000000000000p+1f);
        const T v87 = __fmaf_rn(v83, v67, 0x1.0000000000000p+1f);
        const T v88 = __fmaf_rn(v84, v64, 0x1.0000000000000p+1f);
        const T v89 = __fmaf_rn(v85, v65, 0x1.0000000000000p+1f);
        const T v90 = __fmaf_rn(v86, v66, 0x1.0000000000000p+1f);
        const T v91 = __fmaf_rn(v87, v67, 0x1.0000000000000p+1f);
        const I v92 = to_bits(v52);
        const I v93 = to_bits(v53);
        const I v94 = to_bits(v54);
        const I v95 = to_bits(v55);
        const I v96 = (I)((U)v92 << 23);
        const I v97 = (I)((U)v93 << 23);
        const I v98 = (I)((U)v94 << 23);
        const I v99 = (I)((U)v95 << 23);
        const T v100 = from_bits(v96);
        const T v101 = from_bits(v97);
        const T v102 = from_bits(v98);
        const T v103 = from_bits(v99);
        const T v104 = __fmul_rn(v88, v100);
        const T v105 = __fmul_rn(v89, v101);
        const T v106 = __fmul_rn(v90, v102);
        const T v107 = __fmul_rn(v91, v103);
        const T v108 = __fadd_rn(0x1.0000000000000p+0f, v104);
        const T v109 = __fadd_rn(0x1.0000000000000p+0f, v105);
        const T v110 = __fadd_rn(0x1.0000000000000p+0f, v106);
        const T v111 = __fadd_rn(0x1.0000000000000p+0f, v107);
        const T v112 = __fdiv_rn(0x1.0000000000000p+0f, v108);
        const T v113 = __fdiv_rn(0x1.0000000000000p+0f, v109);
        const T v114 = __fdiv_rn(0x1.0000000000000p+0f, v110);
        const T v115 = __fdiv_rn(0x1.0000000000000p+0f, v111);
        scratch[strip * 288 + j] = here ? v112 : 0;
        scratch[strip * 288 + j + 32] = here ? v113 : 0;
        scratch[strip * 288 + j + 64] = here ? v114 : 0;
        scratch[strip * 288 + j + 96] = here ? v115 : 0;
        const T v116 = scratch[strip * 288 + j];
        const T v117 = state[32];
        const T v118 = __fmul_rn(v117, v116);
        T v119 = v118;
        for (int k120 = 1; k120 < 4; k120 += 1) {
            const T v121 = scratch[strip * 288 + k120 * 32 + j];
            const T v122 = state[k120 + 32];
            const T v123 = __fmaf_rn(v122, v121, v119);
            v119 = v123;
        }
        const T v124 = state[48];
        const T v125 = __fadd_rn(v119, v124);
        const T v126 = -(v125);
        const bool v127 = v126 < -0x1.5d58a00000000p+6f;
        const T v128 = v127 ? -0x1.5d58a00000000p+6f : v126;
        const bool v129 = 0x1.6400000000000p+6f < v128;
        const T v130 = v129 ? 0x1.6400000000000p+6f : v128;
        const T v131 = __fmaf_rn(v130, 0x1.7154760000000p+0f, 0x1.8000fc0000000p+23f);
        const T v132 = __fsub_rn(v131, 0x1.8000fc0000000p+23f);
        const T v133 = __fmaf_rn(v132, -0x1.62e4000000000p-1f, v130);
        const T v134 = __fmaf_rn(v132, -0x1.7f7d1c0000000p-20f, v133);
        const T v135 = __fmaf_rn(0x1.709ba00000000p-9f, v134, 0x1.1290520000000p-6f);
        const T v136 = __fmaf_rn(v135, v134, 0x1.55515e0000000p-4f);
        const T v137 = __fmaf_rn(v136, v134, 0x1.5553c00000000p-2f);
        const T v138 = __fmaf_rn(v137, v134, 0x1.0000020000000p+0f);
        const T v139 = __fmaf_rn(v138, v134, 0x1.0000000000000p+1f);
        const T v140 = __fmaf_rn(v139, v134, 0x1.0000000000000p+1f);
        const I v141 = to_bits(v131);
        const I v142 = (I)((U)v141 << 23);
        const T v143 = from_bits(v142);
        const T v144 = __fmul_rn(v140, v143);
        const T v145 = __fadd_rn(0x1.0000000000000p+0f, v144);
        const T v146 = __fdiv_rn(0x1.0000000000000p+0f, v145);
        const T v147 = examples[strip * 128 + j + 96];
        const T v148 = __fsub_rn(v146, v147);
        scratch[strip * 288 + j + 128] = here ? v148 : 0;
        const T v149 = scratch[strip * 288 + j + 128];
        const T v150 = state[32];
        const T v151 = __fmul_rn(v150, v149);
        const T v152 = state[33];
        const T v153 = __fmul_rn(v152, v149);
        const T v154 = state[34];
        const T v155 = __fmul_rn(v154, v149);
        const T v156 = state[35];
        const T v157 = __fmul_rn(v156, v149);
        const T v158 = scratch[strip * 288 + j];
        const T v159 = scratch[strip * 288 + j + 32];
        const T v160 = scratch[strip * 288 + j + 64];
        const T v161 = scratch[strip * 288 + j + 96];
        const T v162 = __fsub_rn(0x1.0000000000000p+0f, v158);
        const T v163 = __fsub_rn(0x1.0000000000000p+0f, v159);
        const T v164 = __fsub_rn(0x1.0000000000000p+0f, v160);
        const T v165 = __fsub_rn(0x1.0000000000000p+0f, v161);
        const T v166 = __fmul_rn(v151, v162);
        const T v167 = __fmul_rn(v153, v163);
        const T v168 = __fmul_rn(v155, v164);
        const T v169 = __fmul_rn(v157, v165);
        const T v170 = __fmul_rn(v166, v158);
        const T v171 = __fmul_rn(v167, v159);
        const T v172 = __fmul_rn(v168, v160);
        const T v173 = __fmul_rn(v169, v161);
        scratch[strip * 288 + j + 160] = here ? v170 : 0;
        scratch[strip * 288 + j + 192] = here ? v171 : 0;
        scratch[strip * 288 + j + 224] = here ? v172 : 0;
        scratch[strip * 288 + j + 256] = here ? v173 : 0;
    }
    __syncthreads();  // for all examples' rows in scratch, which the sums read
    for (int k174 = (half + 0) % 8; k174 < 1; k174 += 8) {
        T v175 = 0;
        T v176 = 0;
        T v177 = 0;
        T v178 = 0;
        T v179 = 0;
        for (int k180 = 0; k180 < strips; k180 += 1) {
            const T v181 = scratch[k180 * 288 + (k174 % 1) * 32 + lane + 128];
            const T v182 = scratch[k180 * 288 + (k174 / 1) * 160 + lane];
            const T v183 = __fmaf_rn(v181, v182, v175);
            v175 = v183;
            const T v184 = scratch[k180 * 288 + (k174 / 1) * 160 + lane + 32];
            const T v185 = __fmaf_rn(v181, v184, v176);
            v176 = v185;
            const T v186 = scratch[k180 * 288 + (k174 / 1) * 160 + lane + 64];
            const T v187 = __fmaf_rn(v181, v186, v177);
            v177 = v187;
            const T v188 = scratch[k180 * 288 + (k174 / 1) * 160 + lane + 96];
            const T v189 = __fmaf_rn(v181, v188, v178);
            v178 = v189;
            const T v190 = __fadd_rn(v179, v181);
            v179 = v190;
            const T v191 = scratch[k180 * 288 + (k174 % 1) * 32 + lane + 144];
            const T v192 = scratch[k180 * 288 + (k174 / 1) * 160 + lane + 16];
            const T v193 = __fmaf_rn(v191, v192, v175);
            v175 = v193;
            const T v194 = scratch[k180 * 288 + (k174 / 1) * 160 + lane + 48];
            const T v195 = __fmaf_rn(v191, v194, v176);
            v176 = v195;
            const T v196 = scratch[k180 * 288 + (k174 / 1) * 160 + lane + 80];
            const T v197 = __fmaf_rn(v191, v196, v177);
            v177 = v197;
            const T v198 = scratch[k180 * 288 + (k174 / 1) * 160 + lane + 112];
            const T v199 = __fmaf_rn(v191, v198, v178);
            v178 = v199;
            const T v200 = __fadd_rn(v179, v191);
            v179 = v200;
        }
        const T v201 = __fadd_rn(v175, __shfl_down_sync(mask, v175, 8, 16));
        const T v202 = __fadd_rn(v176, __shfl_down_sync(mask, v176, 8, 16));
        const T v203 = __fadd_rn(v177, __shfl_down_sync(mask, v177, 8, 16));
        const T v204 = __fadd_rn(v178, __shfl_down_sync(mask, v178, 8, 16));
        const T v205 = __fadd_rn(v179, __shfl_down_sync(mask, v179, 8, 16));
        const T v206 = __fadd_rn(v201, __shfl_down_sync(mask, v201, 4, 16));
        const T v207 = __fadd_rn(v202, __shfl_down_sync(mask, v202, 4, 16));
        const T v208 = __fadd_rn(v203, __shfl_down_sync(mask, v203, 4, 16));
        const T v209 = __fadd_rn(v204, __shfl_down_sync(mask, v204, 4, 16));
        const T v210 = __fadd_rn(v205, __shfl_down_sync(mask, v205, 4, 16));
        const T v211 = __fadd_rn(v206, __shfl_down_sync(mask, v206, 2, 16));
        const T v212 = __fadd_rn(v207, __shfl_down_sync(mask, v207, 2, 16));
        const T v213 = __fadd_rn(v208, __shfl_down_sync(mask, v208, 2, 16));
        const T v214 = __fadd_rn(v209, __shfl_down_sync(mask, v209, 2, 16));
        const T v215 = __fadd_rn(v210, __shfl_down_sync(mask, v210, 2, 16));
        const T v216 = __fadd_rn(v211, __shfl_down_sync(mask, v211, 1, 16));
        const T v217 = __fadd_rn(v212, __shfl_down_sync(mask, v212, 1, 16));
        const T v218 = __fadd_rn(v213, __shfl_down_sync(mask, v213, 1, 16));
        const T v219 = __fadd_rn(v214, __shfl_down_sync(mask, v214, 1, 16));
        const T v220 = __fadd_rn(v215, __shfl_down_sync(mask, v215, 1, 16));
        if (lane == 0) {
            sums[(k174 % 1) * 4 + (k174 / 1) * 5] = v216;
            sums[(k174 % 1) * 4 + (k174 / 1) * 5 + 1] = v217;
            sums[(k174 % 1) * 4 + (k174 / 1) * 5 + 2] = v218;
            sums[(k174 % 1) * 4 + (k174 / 1) * 5 + 3] = v219;
            sums[(k174 % 1) + 4] = v220;
        }
    }
    for (int k221 = (half + 7) % 8; k221 < 2; k221 += 8) {
        T v222 = 0;
        T v223 = 0;
        T v224 = 0;
        T v225 = 0;
        T v226 = 0;
        T v227 = 0;
        T v228 = 0;
        T v229 = 0;
        for (int k230 = 0; k230 < strips; k230 += 1) {
            const T v231 = scratch[k230 * 288 + (k221 % 2) * 64 + lane + 160];
            const T v232 = scratch[k230 * 288 + (k221 % 2) * 64 + lane + 192];
            const T v233 = examples[k230 * 128 + (k221 / 2) * 128 + lane];
            const T v234 = __fmaf_rn(v231, v233, v222);
            v222 = v234;
            const T v235 = __fmaf_rn(v232, v233, v226);
            v226 = v235;
            const T v236 = examples[k230 * 128 + (k221 / 2) * 128 + lane + 32];
            const T v237 = __fmaf_rn(v231, v236, v223);
            v223 = v237;
            const T v238 = __fmaf_rn(v232, v236, v227);
            v227 = v238;
            const T v239 = examples[k230 * 128 + (k221 / 2) * 128 + lane + 64];
            const T v240 = __fmaf_rn(v231, v239, v224);
            v224 = v240;
            const T v241 = __fmaf_rn(v232, v239, v228);
            v228 = v241;
            const T v242 = __fadd_rn(v225, v231);
            v225 = v242;
            const T v243 = __fadd_rn(v229, v232);
            v229 = v243;
            const T v244 = scratch[k230 * 288 + (k221 % 2) * 64 + lane + 176];
            const T v245 = scratch[k230 * 288 + (k221 % 2) * 64 + lane + 208];
            const T v246 = examples[k230 * 128 + (k221 / 2) * 128 + lane + 16];
            const T v247 = __fmaf_rn(v244, v246, v222);
            v222 = v247;
            const T v248 = __fmaf_rn(v245, v246, v226);
            v226 = v248;
            const T v249 = examples[k230 * 128 + (k221 / 2) * 128 + lane + 48];
            const T v250 = __fmaf_rn(v244, v249, v223);
            v223 = v250;
            const T v251 = __fmaf_rn(v245, v249, v227);
            v227 = v251;
            const T v252 = examples[k230 * 128 + (k221 / 2) * 128 + lane + 80];
            const T v253 = __fmaf_rn(v244, v252, v224);
            v224 = v253;
            const T v254 = __fmaf_rn(v245, v252, v228);
            v228 = v254;
            const T v255 = __fadd_rn(v225, v244);
            v225 = v255;
            const T v256 = __fadd_rn(v229, v245);
            v229 = v256;
        }
        const T v257 = __fadd_rn(v222, __shfl_down_sync(mask, v222, 8, 16));
        const T v258 = __fadd_rn(v223, __shfl_down_sync(mask, v223, 8, 16));
        const T v259 = __fadd_rn(v224, __shfl_down_sync(mask, v224, 8, 16));
        const T v260 = __fadd_rn(v225, __shfl_down_sync(mask, v225, 8, 16));
        const T v261 = __fadd_rn(v226, __shfl_down_sync(mask, v226, 8, 16));
        const T v262 = __fadd_rn(v227, __shfl_down_sync(mask, v227, 8, 16));
        const T v263 = __fadd_rn(v228, __shfl_down_sync(mask, v228, 8, 16));
        const T v264 = __fadd_rn(v229, __shfl_down_sync(mask, v229, 8, 16));
        const T v265 = __fadd_rn(v257, __shfl_down_sync(mask, v257, 4, 16));
        const T v266 = __fadd_rn(v258, __shfl_down_sync(mask, v258, 4, 16));
        const T v267 = __fadd_rn(v259, __shfl_down_sync(mask, v259, 4, 16));
        const T v268 = __fadd_rn(v260, __shfl_down_sync(mask, v260, 4, 16));
        const T v269 = __fadd_rn(v261, __shfl_down_sync(mask, v261, 4, 16));
        const T v270 = __fadd_rn(v262, __shfl_down_sync(mask, v262, 4, 16));
        const T v271 = __fadd_rn(v263, __shfl_down_sync(mask, v263, 4, 16));
        const T v272 = __fadd_rn(v264, __shfl_down_sync(mask, v264, 4, 16));
        const T v273 = __fadd_rn(v265, __shfl_down_sync(mask, v265, 2, 16));
        const T v274 = __fadd_rn(v266, __shfl_down_sync(mask, v266, 2, 16));
        const T v275 = __fadd_rn(v267, __shfl_down_sync(mask, v267, 2, 16));
        const T v276 = __fadd_rn(v268, __shfl_down_sync(mask, v268, 2, 16));
        const T v277 = __fadd_rn(v269, __shfl_down_sync(mask, v269, 2, 16));
        const T v278 = __fadd_rn(v270, __shfl_down_sync(mask, v270, 2, 16));
        const T v279 = __fadd_rn(v271, __shfl_down_sync(mask, v271, 2, 16));
        const T v280 = __fadd_rn(v272, __shfl_down_sync(mask, v272, 2, 16));
        const T v281 = __fadd_rn(v273, __shfl_down_sync(mask, v273, 1, 16));
        const T v282 = __fadd_rn(v274, __shfl_down_sync(mask, v274, 1, 16));
        const T v283 = __fadd_rn(v275, __shfl_down_sync(mask, v275, 1, 16));
        const T v284 = __fadd_rn(v276, __shfl_down_sync(mask, v276, 1, 16));
        const T v285 = __fadd_rn(v277, __shfl_down_sync(mask, v277, 1, 16));
        const T v286 = __fadd_rn(v278, __shfl_down_sync(mask, v278, 1, 16));
        const T v287 = __fadd_rn(v279, __shfl_down_sync(mask, v279, 1, 16));
        const T v288 = __fadd_rn(v280, __shfl_down_sync(mask, v280, 1, 16));
        if (lane == 0) {
            sums[(k221 % 2) * 6 + (k221 / 2) * 4 + 5] = v281;
            sums[(k221 % 2) * 6 + (k221 / 2) * 4 + 6] = v282;
            sums[(k221 % 2) * 6 + (k221 / 2) * 4 + 7] = v283;
            sums[(k221 % 2) * 2 + 17] = v284;
            sums[(k221 % 2) * 6 + (k221 / 2) * 4 + 8] = v285;
            sums[(k221 % 2) * 6 + (k221 / 2) * 4 + 9] = v286;
            sums[(k221 % 2) * 6 + (k221 / 2) * 4 + 10] = v287;
            sums[(k221 % 2) * 2 + 18] = v288;
        }
    }
}

static __device__ __forceinline__ unsigned compute_results(const T* total, const T* state, const T* numbers, T* next) {
    unsigned failed = 0;  // comparisons of endings, a bit for each
    for (int k289 = threadIdx.x; k289 < 12; k289 += blockDim.x) {
        const T v290 = state[k289];
        const T v291 = numbers[1];
        const T v292 = total[k289 + 5];
        const T v293 = numbers[0];
        const T v294 = __fdiv_rn(v292, v293);
        const T v295 = __fmul_rn(v291, v294);
        const T v296 = __fsub_rn(v290, v295);
        next[k289] = v296;
        const T v297 = fabsf(v296);
        const bool v298 = v297 < from_bits(2139095040);
        failed |= v298 ? 0 : 1;
    }
    for (int k299 = threadIdx.x; k299 < 4; k299 += blockDim.x) {
        const T v300 = state[k299 + 16];
        const T v301 = numbers[1];
        const T v302 = total[k299 + 17];
        const T v303 = numbers[0];
        const T v304 = __fdiv_rn(v302, v303);
        const T v305 = __fmul_rn(v301, v304);
        const T v306 = __fsub_rn(v300, v305);
        next[k299 + 16] = v306;
        const T v307 = fabsf(v306);
        const bool v308 = v307 < from_bits(2139095040);
        failed |= v308 ? 0 : 1;
    }
    for (int k309 = threadIdx.x; k309 < 4; k309 += blockDim.x) {
        const T v310 = state[k309 + 32];
        const T v311 = numbers[1];
        const T v312 = total[k309];
        const T v313 = numbers[0];
        const T v314 = __fdiv_rn(v312, v313);
        const T v315 = __fmul_rn(v311, v314);
        const T v316 = __fsub_rn(v310, v315);
        next[k309 + 32] = v316;
        const T v317 = fabsf(v316);
        const bool v318 = v317 < from_bits(2139095040);
        failed |= v318 ? 0 : 1;
    }
    for (int k319 = threadIdx.x; k319 < 1; k319 += blockDim.x) {
        const T v320 = state[k319 + 48];
        const T v321 = numbers[1];
        const T v322 = total[k319 + 4];
        const T v323 = numbers[0];
        const T v324 = __fdiv_rn(v322, v323);
        const T v325 = __fmul_rn(v321, v324);
        const T v326 = __fsub_rn(v320, v325);
        next[k319 + 48] = v326;
        const T v327 = fabsf(v326);
        const bool v328 = v327 < from_bits(2139095040);
        failed |= v328 ? 0 : 1;
    }
    return failed;
}

static __device__ __forceinline__ int ending(unsigned failed) {
    int reached = 0;
    if (__syncthreads_or(failed & 1)) reached = 1;
    return reached;
}

// Adds a row of sums to another. A thread always has the same elements: between additions none waits for another.
static __device__ __forceinline__ void merge(T* low, const T* high) {
    for (int k = threadIdx.x; k < SUMS; k += blockDim.x) low[k] = add(low[k], high[k]);
}

// Leaves the sums over m examples in the first row of a stack, on which are runs of 2^i tiles, as in a binary counter.
static __device__ __forceinline__ void add_tiles(
    const T* examples, const T* own, T* outputs, const T* state, const T* numbers, T* stack, long long m) {
    T* top = stack;
    for (long long first = 0, number = 1; first < m; first += TILE, ++number) {
        const int left = m - first < TILE ? (int)(m - first) : TILE;
        tile(examples + first * EXAMPLES, own + first * OWN, outputs + first * OUTPUTS, state, numbers, top, left);
        __syncthreads();  // for the sums of all half-warps, which are merged now; and the next tile overwrites scratch
        top += SUMS;
        for (long long n = number; n % 2 == 0; n /= 2, top -= SUMS) merge(top - 2 * SUMS, top - SUMS);
    }
    for (; top - SUMS > stack; top -= SUMS) merge(top - 2 * SUMS, top - SUMS);  // the rest, from the smallest run on
}

// Computes what follows from the sums, and only then replaces the results, which may be the state that it reads. A step
// that ends the run is left undone; returns whether it did.
static __device__ __forceinline__ bool close(
    long long* progress, const T* total, const T* state, const T* numbers, T* next, T* results) {
    const int reached = ending(compute_results(total, state, numbers, next));
    __syncthreads();  // for all of next: until then, old state is read
    if (threadIdx.x == 0) progress[0] = reached;
    if (reached) return true;
    if (threadIdx.x == 0) ++progress[1];
    for (int k = threadIdx.x; k < RESULTS; k += blockDim.x) results[k] = next[k];
    return false;
}

// Small data (share = 0): each block has a network at a time, and does all of its iterations. Large data: all blocks
// have network n, each a share of its tiles. A span is a network's first strip, examples, first strip of outputs,
// and where its own rows begin; its progress the number of the ending that it reached, or 0, and its iterations.
extern "C" __global__ void __launch_bounds__(TILE)
run_tiles(
    const T* examples, const long long* spans, long long* progress, const T* states, const T* numbers, T* results,
    T* outputs, T* work, int rows, long long n, long long networks, long long share, int iterations) {
    T* stack = work + blockIdx.x * (long long)(rows * SUMS + RESULTS);
    const long long first = blockIdx.x * share * TILE;
    for (n += share ? 0 : blockIdx.x; n < networks; n += share ? networks : gridDim.x) {
        const long long *span = spans + 4 * n, left = span[1] - first;
        for (int more = progress[2 * n] ? 0 : iterations; more > 0; --more) {
            add_tiles(examples + (span[0] * STRIP + first) * EXAMPLES, examples + span[3] + first * OWN,
                      outputs + (span[2] * STRIP + first) * OUTPUTS, states + n * STATE, numbers + n * NUMBERS, stack,
                      share && share * TILE < left ? share * TILE : left);
            if (share) return;  // all blocks alike: add_runs and follow do the rest
            __syncthreads();  // for the total, of which each thread has added some elements and reads others
            const bool ends = close(progress + 2 * n, stack, states + n * STATE, numbers + n * NUMBERS,
                                    stack + rows * SUMS, results + n * RESULTS);
            if (ends) break;
            __syncthreads();  // for the new state, which the next iteration reads
        }
    }
}

// Adds the sums of n runs, the first rows of as many stacks, eight at a time, whose loads do not wait for each other.
extern "C" __global__ void __launch_bounds__(WIDE_THREADS)
add_runs(T* work, int rows, int n) {
    const int k = blockIdx.x * COLUMNS + threadIdx.x % COLUMNS;
    const long long size = rows * SUMS + RESULTS;
    for (int width = 1; width < n; width *= 8) {
        for (int first = threadIdx.x / COLUMNS * 8 * width; k < SUMS && first < n;
             first += WIDE_THREADS / COLUMNS * 8 * width) {
            T runs[8];
            #pragma unroll
            for (int r = 0; r < 8; ++r) runs[r] = first + r * width < n ? work[(first + r * width) * size + k] : 0;
            #pragma unroll
            for (int w = 1; w < 8; w *= 2) {
                #pragma unroll
                for (int r = 0; r < 8; r += 2 * w) {  // behind the last run nothing is added, not even +0 to -0
                    if (first + (r + w) * width < n) runs[r] = add(runs[r], runs[r + w]);
                }
            }
            work[first * size + k] = runs[0];
        }
        __syncthreads();  // for the sums of eight, which are added to others by other threads
    }
}

extern "C" __global__ void __launch_bounds__(WIDE_THREADS)
follow(long long* progress, const T* states, const T* numbers, T* results, T* work, int rows, long long n) {
    if (progress[2 * n]) return;
    close(progress + 2 * n, work, states + n * STATE, numbers + n * NUMBERS, work + rows * SUMS, results + n * RESULTS);
}
